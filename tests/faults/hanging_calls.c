/* LD_PRELOAD: calls for paths that begin with DP_HANG_BELOW never return, as on a dead mount. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stat;

static void hang_below(const char *path)
{
    const char *dead = getenv("DP_HANG_BELOW");
    if (dead && path && !strncmp(path, dead, strlen(dead)))
        for (;;)
            pause();
}

#define WRAP(kind, name, parameters, ...)                                        \
    kind name parameters                                                         \
    {                                                                            \
        hang_below(path);                                                        \
        return ((kind(*) parameters)dlsym(RTLD_NEXT, #name))(__VA_ARGS__);       \
    }

WRAP(DIR *, opendir, (const char *path), path)
WRAP(int, stat, (const char *path, struct stat *into), path, into)
WRAP(int, stat64, (const char *path, struct stat *into), path, into)
WRAP(int, fstatat, (int at, const char *path, struct stat *into, int how), at, path, into, how)
WRAP(int, fstatat64, (int at, const char *path, struct stat *into, int how), at, path, into, how)
WRAP(int, __xstat, (int version, const char *path, struct stat *into), version, path, into)
WRAP(int, __xstat64, (int version, const char *path, struct stat *into), version, path, into)

#define WRAP_OPEN(name)                                                          \
    int name(const char *path, int flags, ...)                                   \
    {                                                                            \
        va_list rest;                                                            \
        va_start(rest, flags);                                                   \
        int mode = va_arg(rest, int);                                            \
        va_end(rest);                                                            \
        hang_below(path);                                                        \
        return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)
