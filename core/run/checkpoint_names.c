/* How the names in a file relate to the model's: parts, old spellings, states
 * that a file need not have. */
#include "core/run/checkpoint_names.h"

#include <stdio.h>
#include <string.h>

/* Replaces the component (one or more, between dots) from by to; false if the
 * name has no such component. */
static bool respell(const char *name, const char *from, const char *to, char *out, size_t size)
{
    size_t n = strlen(from);
    for (const char *at = strstr(name, from); at; at = strstr(at + 1, from)) {
        if ((at != name && at[-1] != '.') || (at[n] && at[n] != '.'))
            continue;
        int length = snprintf(out, size, "%.*s%s%s", (int)(at - name), name, to, at + n);
        return length > 0 && (size_t)length < size;
    }
    return false;
}

static const struct kiln_exchange_alias *aliases(const struct kiln_checkpoint_names *names)
{
    static const struct kiln_exchange_alias none[] = {{0}};
    return names->exchange && names->exchange->aliases ? names->exchange->aliases : none;
}

bool kiln_checkpoint_in_part(const struct kiln_checkpoint_names *names, const char *state)
{
    return !strncmp(state, names->prefix, strlen(names->prefix));
}

const struct kiln_tensor *kiln_checkpoint_names_find(const struct kiln_checkpoint_names *names,
                                                     const kiln_safetensors *file,
                                                     const char *state)
{
    char other[KILN_TENSOR_MAX_NAME + 1];
    if (!kiln_checkpoint_in_part(names, state))
        return NULL;
    const char *name = state + strlen(names->prefix);
    const struct kiln_tensor *tensor = kiln_safetensors_find(file, name);
    for (const struct kiln_exchange_alias *alias = aliases(names); !tensor && alias->name; alias++)
        if (respell(name, alias->name, alias->other, other, sizeof other))
            tensor = kiln_safetensors_find(file, other);
    return tensor;
}

bool kiln_checkpoint_names_known(const struct kiln_checkpoint_names *names,
                                 const kiln_states *states, const char *tensor)
{
    char name[KILN_TENSOR_MAX_NAME + sizeof names->prefix], other[sizeof name];
    snprintf(name, sizeof name, "%s%s", names->prefix, tensor);
    bool known = kiln_states_find(states, name) >= 0;
    for (const struct kiln_exchange_alias *alias = aliases(names); !known && alias->name; alias++)
        known = respell(name, alias->other, alias->name, other, sizeof other) &&
                kiln_states_find(states, other) >= 0;
    return known;
}

bool kiln_checkpoint_may_lack(const struct kiln_checkpoint_names *names, const char *state)
{
    const char *dot = strrchr(state, '.'), *last = dot ? dot + 1 : state;
    const char *const *optional = names->exchange ? names->exchange->optional : NULL;
    for (; optional && *optional; optional++)
        if (!strcmp(*optional, last))
            return true;
    return false;
}
