/* The limits that a program sets itself: reserves of address space, which nobody has touched, count against some. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "names.h"
#include "os.h"
#include "process.h"

/* struct rlimit and struct rlimit64 are the same here; `to` may be a bad address, which the kernel will tell. */
static int set(pid_t pid, int resource, const void *to, void *before) {
    bool counts = (resource == RLIMIT_AS || resource == RLIMIT_DATA) && to != NULL && pp_os_readable(to);
    bool limits = counts && ((const struct rlimit *)to)->rlim_cur != RLIM_INFINITY;
    if (limits && (pid == 0 || pid == pp_os_pid())) pp_process_limits_itself();
    int64_t result = pp_os_set_limit(pid, resource, to, before);
    if (result == 0) return 0;
    errno = (int)-result;
    return -1;
}

PP_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *to) {
    return set(0, (int)resource, to, NULL);
}
PP_EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *to) {
    return set(0, (int)resource, to, NULL);
}
PP_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *to, struct rlimit *before) {
    return set(pid, (int)resource, to, before);
}
PP_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *to,
                        struct rlimit64 *before) {
    return set(pid, (int)resource, to, before);
}
