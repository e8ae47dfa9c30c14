/*
 * Before the sanitizers' own library: PHP opens extensions with RTLD_DEEPBIND,
 * with which that library refuses to go on.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stddef.h>

void *dlopen(const char *file, int mode)
{
    void *(*next)(const char *, int) =
        (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");

    return next != NULL ? next(file, mode & ~RTLD_DEEPBIND) : NULL;
}
