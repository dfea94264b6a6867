/* Running a sampler: batches and jobs. */
#include <string.h>

#include "core/run/sampler.h"

/* --- one batch ------------------------------------------------------------------- */

static enum kiln_status write_rng(kiln_executable *executable, const struct kiln_sample_job *job,
                                  uint32_t step, int64_t first, struct kiln_error *error)
{
    int32_t words[KILN_RNG_KEY_WORDS];
    kiln_rng_words(job->seed, step, (uint32_t)first, words);
    return kiln_executable_write(executable, "rng", words, sizeof words, error);
}

/* The noise state that a start begins with. */
static int noise_state(const kiln_sampler *sampler)
{
    return kiln_states_find(kiln_session_states(sampler->session), KILN_STATE_NOISE);
}

static enum kiln_status draw_noise(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                   int64_t first, struct kiln_error *error)
{
    enum kiln_status status = write_rng(sampler->noise, job, 0, first, error);
    return status ? status : kiln_executable_run(sampler->noise, error);
}

/* Runs an executable with the keys and labels that it wants. */
static enum kiln_status run_part(kiln_sampler *sampler, kiln_executable *part,
                                 const struct kiln_sample_job *job, uint32_t step, int64_t first,
                                 struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    if (kiln_executable_has_input(part, "rng"))
        status = write_rng(part, job, step, first, error);
    if (!status && kiln_executable_has_input(part, "label"))
        status = kiln_executable_write(part, "label", sampler->label_buffer,
                                       sampler->request.batch * (int64_t)sizeof(int32_t), error);
    return status ? status : kiln_executable_run(part, error);
}

/* Reports that iterations of the batch are done; false if the user stops. */
static bool tell(const kiln_sampler *sampler, const struct kiln_sample_job *job, int64_t first,
                 int iterations)
{
    int64_t batch = sampler->request.batch, each = kiln_sampler_iterations(sampler);
    int64_t before = (first - job->first) / batch * each;
    int64_t total = (job->count + batch - 1) / batch * each;
    return !job->progress || job->progress(job->user, before + iterations, total);
}

static int64_t batch_count(const kiln_sampler *sampler, const struct kiln_sample_job *job,
                           int64_t done)
{
    int64_t rest = job->count - done;
    return rest < sampler->request.batch ? rest : sampler->request.batch;
}

/* Copies what a batch shows: pictures within 0..1, known pixels as they are. out
 * may be the sampler's own buffer. */
static void copy_samples(const kiln_sampler *sampler, const struct kiln_sample_job *job,
                         int64_t count, float *out)
{
    const struct kiln_known *known = job->known;
    const float *drawn = sampler->sample_buffer;
    int64_t elements = sampler->sample_elements, n = count * elements;
    if (sampler->points) {
        memmove(out, drawn, (size_t)n * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = drawn[i] < 0 ? 0 : drawn[i] > 1 ? 1 : drawn[i];
    int64_t plane = known ? sampler->samples.d[2] * sampler->samples.d[3] : 1;
    for (int64_t i = 0; known && i < n; i++)
        if (known->mask[i % plane] == 0)
            out[i] = known->picture[i % elements];
}

static enum kiln_status read_samples(kiln_sampler *sampler, kiln_executable *part,
                                     const char *output, struct kiln_error *error)
{
    int64_t bytes = sampler->request.batch * sampler->sample_elements * (int64_t)sizeof(float);
    return kiln_executable_read(part, output, sampler->sample_buffer, bytes, error);
}

/* Reads the frames that are of iteration i. */
static enum kiln_status read_frames(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                    int64_t first, int i, struct kiln_error *error)
{
    int64_t done = first - job->first, n = sampler->graphs.plan.n_iterations;
    for (int64_t f = 0; f < job->n_frames; f++) {
        if (f * n / job->n_frames != i)
            continue;
        enum kiln_status status = read_samples(sampler, sampler->step, "preview", error);
        if (status)
            return status;
        copy_samples(sampler, job, batch_count(sampler, job, done),
                     job->frames + (f * job->count + done) * sampler->sample_elements);
    }
    return KILN_OK;
}

static enum kiln_status iterate(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                int64_t first, struct kiln_error *error)
{
    const struct kiln_sample_plan *plan = &sampler->graphs.plan;
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < plan->n_iterations && !status; i++) {
        if (plan->n_coefficients > 0 && kiln_executable_has_input(sampler->step, "coefficients"))
            status =
                kiln_executable_write(sampler->step, "coefficients",
                                      plan->coefficients + (size_t)i * (size_t)plan->n_coefficients,
                                      plan->n_coefficients * (int64_t)sizeof(float), error);
        if (!status)
            status = run_part(sampler, sampler->step, job, (uint32_t)i + 1, first, error);
        if (!status)
            status = read_frames(sampler, job, first, i, error);
        if (!status && !tell(sampler, job, first, i + 1))
            status = kiln_fail(error, KILN_INTERRUPTED, "interrupted");
    }
    if (!status && plan->n_iterations == 0 && !tell(sampler, job, first, 1))
        status = kiln_fail(error, KILN_INTERRUPTED, "interrupted");
    return status;
}

/* Draws the batch that begins with sample first of the seed; its initial noise
 * is in the noise state, its labels in label_buffer. */
static enum kiln_status run_batch(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                  int64_t first, struct kiln_error *error)
{
    uint32_t last = (uint32_t)sampler->graphs.plan.n_iterations + 1;
    enum kiln_status status = run_part(sampler, sampler->start, job, 0, first, error);
    if (!status)
        status = iterate(sampler, job, first, error);
    if (!status)
        status = run_part(sampler, sampler->finish, job, last, first, error);
    return status ? status : read_samples(sampler, sampler->finish, "samples", error);
}

/* --- jobs --------------------------------------------------------------------------- */

enum kiln_status kiln_sampler_noise(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                    float *noise, struct kiln_error *error)
{
    for (int64_t done = 0; done < job->count; done += sampler->request.batch) {
        enum kiln_status status = draw_noise(sampler, job, job->first + done, error);
        if (!status)
            status = kiln_session_state_get(sampler->session, noise_state(sampler),
                                            KILN_STATE_VALUE, sampler->noise_buffer, error);
        if (status)
            return status;
        memcpy(noise + done * sampler->noise_elements, sampler->noise_buffer,
               (size_t)(batch_count(sampler, job, done) * sampler->noise_elements) * sizeof(float));
    }
    return KILN_OK;
}

/* Sets the batch's noise state and labels; the rest of a partial batch keeps
 * what it held. */
static enum kiln_status load_batch(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                   int64_t done, struct kiln_error *error)
{
    size_t count = (size_t)batch_count(sampler, job, done),
           elements = (size_t)sampler->noise_elements;
    if (job->label)
        memcpy(sampler->label_buffer, job->label + done, count * sizeof *job->label);
    if (!job->noise)
        return draw_noise(sampler, job, job->first + done, error);
    memcpy(sampler->noise_buffer, job->noise + (size_t)done * elements,
           count * elements * sizeof(float));
    return kiln_session_state_set(sampler->session, noise_state(sampler), KILN_STATE_VALUE,
                                  sampler->noise_buffer, error);
}

/* The known picture stays on the device for all batches. */
static enum kiln_status write_known(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                    struct kiln_error *error)
{
    if (!job->known)
        return KILN_OK;
    const struct kiln_shape *shape = &sampler->samples;
    int64_t mask_bytes = shape->d[2] * shape->d[3] * (int64_t)sizeof(float);
    kiln_executable *const parts[] = {sampler->step, sampler->finish};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < 2 && !status; i++) {
        status = kiln_executable_write(parts[i], "known", job->known->picture,
                                       shape->d[1] * mask_bytes, error);
        if (!status)
            status = kiln_executable_write(parts[i], "mask", job->known->mask, mask_bytes, error);
    }
    return status;
}

enum kiln_status kiln_sampler_run(kiln_sampler *sampler, const struct kiln_sample_job *job,
                                  float *samples, struct kiln_error *error)
{
    enum kiln_status status = write_known(sampler, job, error);
    for (int64_t done = 0; !status && done < job->count; done += sampler->request.batch) {
        status = load_batch(sampler, job, done, error);
        if (!status)
            status = run_batch(sampler, job, job->first + done, error);
        if (status)
            return status;
        int64_t count = batch_count(sampler, job, done);
        float *out = samples ? samples + done * sampler->sample_elements : sampler->sample_buffer;
        copy_samples(sampler, job, count, out);
        if (job->take)
            status = job->take(job->user, out, count, error);
    }
    return status;
}
