/* CLBlast, where it is built in: products of matrices. */
#include "backends/opencl/opencl.h"

bool cl_blast_usable(kiln_device_state *device)
{
    (void)device;
    return false;
}

void cl_blast_prepare(struct cl_builder *builder, const struct kiln_step_matmul *s)
{
    (void)s;
    cl_refuse(builder, "CLBlast is not built in");
}

enum kiln_status cl_blast_enqueue(kiln_device_state *device, const struct cl_launch *launch,
                                  struct kiln_error *error)
{
    (void)device;
    (void)launch;
    return kiln_fail(error, KILN_MACHINE, "opencl: CLBlast is not built in");
}

void cl_blast_close(kiln_device_state *device)
{
    (void)device;
}

const char *cl_blast_version(void)
{
    return "";
}
