/* Makes one call of the system fail, in any process that is started with this library in LD_PRELOAD.

Which one, is said by a file of a page that all processes of a run map (DP_FAULT_PAGE, see
failing_calls.py): a class of calls, the prefix of a path, and the number of the call among those.
So the same page also counts calls. The path of a descriptor is asked of /proc. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, SYNC, RENAME, MAKE, REMOVE, LIST, STATUS, CLOSE, CUT, CLASSES };

#define PATH_BYTES 1024

struct page {
    int32_t class;                    /* that fails */
    int32_t error;                    /* errno; 0 only counts */
    uint64_t number;                  /* the first call that fails, from 1 */
    uint64_t times;                   /* how many fail from there on */
    int32_t process;                  /* 0: any; 1: none of Snakemake's own; 2: only Snakemake's own */
    int32_t failed;                   /* how many calls failed */
    uint64_t counts[16];              /* calls by class */
    char prefix[PATH_BYTES];          /* of the paths that are meant */
    char failed_path[PATH_BYTES];     /* of the first call that failed */
};

static struct page *page;
static int is_snakemake;

static void prepare(void) {
    static int done;
    if (done) return;
    done = 1;
    const char *path = getenv("DP_FAULT_PAGE");
    if (!path) return;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (mapped != MAP_FAILED) page = mapped;
    char words[4096];
    fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY, 0);
    ssize_t n = fd < 0 ? 0 : syscall(SYS_read, fd, words, sizeof words - 1);
    if (fd >= 0) syscall(SYS_close, fd);
    for (ssize_t i = 0; i + 12 < n; i++)
        if (!memcmp(words + i, "-m\0snakemake", 13)) is_snakemake = 1;
}

__attribute__((constructor)) static void start(void) { prepare(); }

/* The absolute path of a name in a folder, which is a descriptor; or of a descriptor. */
static const char *find_path(int fd, const char *name, char *out) {
    if (name && name[0] == '/') return name;
    char link[64];
    if (name && fd == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_BYTES - 1);
    if (n < 0) return "";
    out[n] = 0;
    if (name && *name && n + 1 + strlen(name) < PATH_BYTES) {
        out[n] = '/';
        strcpy(out + n + 1, name);
    }
    return out;
}

static int fails(int class, int fd, const char *name) {
    if (!page) prepare();
    if (!page || !page->prefix[0]) return 0;
    if ((page->process == 1 && is_snakemake) || (page->process == 2 && !is_snakemake)) return 0;
    int before = errno;
    char buffer[PATH_BYTES];
    const char *path = find_path(fd, name, buffer);
    errno = before;
    size_t length = strlen(page->prefix);
    if (strncmp(path, page->prefix, length) || (path[length] && path[length] != '/')) return 0;
    /* Snakemake's own files, and what Python keeps of its modules. */
    if (strstr(path, "/.snakemake") || strstr(path, "/__pycache__")) return 0;
    uint64_t number = __atomic_add_fetch(&page->counts[class], 1, __ATOMIC_SEQ_CST);
    if (class != page->class || !page->error) return 0;
    if (number < page->number || number - page->number >= page->times) return 0;
    if (!__atomic_fetch_add(&page->failed, 1, __ATOMIC_SEQ_CST))
        strncpy(page->failed_path, path, PATH_BYTES - 1);
    errno = page->error;
    return 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

/* To make a file and to open one that is there fail for different reasons. */
#define OPENING(flags) ((flags) & (O_CREAT | __O_TMPFILE) ? MAKE : OPEN)

#define OPEN_CALL(name) \
    int name(const char *path, int flags, ...) { \
        MODE REAL(name); \
        return fails(OPENING(flags), AT_FDCWD, path) ? -1 : real(path, flags, mode); \
    }
#define OPENAT_CALL(name) \
    int name(int fd, const char *path, int flags, ...) { \
        MODE REAL(name); \
        return fails(OPENING(flags), fd, path) ? -1 : real(fd, path, flags, mode); \
    }

OPEN_CALL(open)
OPEN_CALL(open64)
OPENAT_CALL(openat)
OPENAT_CALL(openat64)

#define OF_DESCRIPTOR(type, name, class, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        return fails(class, fd, NULL) ? -1 : real arguments; \
    }
#define OF_PATH(name, class, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        return fails(class, AT_FDCWD, path) ? -1 : real arguments; \
    }
#define OF_FOLDER(name, class, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        return fails(class, fd, path) ? -1 : real arguments; \
    }

OF_PATH(creat, MAKE, (const char *path, mode_t mode), (path, mode))
OF_DESCRIPTOR(ssize_t, read, READ, (int fd, void *b, size_t n), (fd, b, n))
OF_DESCRIPTOR(ssize_t, pread, READ, (int fd, void *b, size_t n, off_t o), (fd, b, n, o))
OF_DESCRIPTOR(ssize_t, pread64, READ, (int fd, void *b, size_t n, off64_t o), (fd, b, n, o))
OF_DESCRIPTOR(ssize_t, readv, READ, (int fd, const struct iovec *v, int n), (fd, v, n))
OF_DESCRIPTOR(ssize_t, preadv, READ, (int fd, const struct iovec *v, int n, off_t o), (fd, v, n, o))
OF_DESCRIPTOR(ssize_t, preadv64, READ, (int fd, const struct iovec *v, int n, off64_t o), (fd, v, n, o))
OF_DESCRIPTOR(ssize_t, preadv2, READ, (int fd, const struct iovec *v, int n, off_t o, int f), (fd, v, n, o, f))
OF_DESCRIPTOR(ssize_t, preadv64v2, READ, (int fd, const struct iovec *v, int n, off64_t o, int f), (fd, v, n, o, f))
OF_DESCRIPTOR(ssize_t, write, WRITE, (int fd, const void *b, size_t n), (fd, b, n))
OF_DESCRIPTOR(ssize_t, pwrite, WRITE, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
OF_DESCRIPTOR(ssize_t, pwrite64, WRITE, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
OF_DESCRIPTOR(ssize_t, writev, WRITE, (int fd, const struct iovec *v, int n), (fd, v, n))
OF_DESCRIPTOR(int, fsync, SYNC, (int fd), (fd))
OF_DESCRIPTOR(int, fdatasync, SYNC, (int fd), (fd))
OF_DESCRIPTOR(int, ftruncate, CUT, (int fd, off_t n), (fd, n))
OF_DESCRIPTOR(int, ftruncate64, CUT, (int fd, off64_t n), (fd, n))
OF_PATH(mkdir, MAKE, (const char *path, mode_t mode), (path, mode))
OF_FOLDER(mkdirat, MAKE, (int fd, const char *path, mode_t mode), (fd, path, mode))
OF_PATH(unlink, REMOVE, (const char *path), (path))
OF_PATH(rmdir, REMOVE, (const char *path), (path))
OF_FOLDER(unlinkat, REMOVE, (int fd, const char *path, int flags), (fd, path, flags))
OF_PATH(stat, STATUS, (const char *path, struct stat *s), (path, s))
OF_PATH(stat64, STATUS, (const char *path, struct stat64 *s), (path, s))
OF_PATH(lstat, STATUS, (const char *path, struct stat *s), (path, s))
OF_PATH(lstat64, STATUS, (const char *path, struct stat64 *s), (path, s))
OF_DESCRIPTOR(int, fstat, STATUS, (int fd, struct stat *s), (fd, s))
OF_DESCRIPTOR(int, fstat64, STATUS, (int fd, struct stat64 *s), (fd, s))
OF_FOLDER(fstatat, STATUS, (int fd, const char *path, struct stat *s, int flags), (fd, path, s, flags))
OF_FOLDER(fstatat64, STATUS, (int fd, const char *path, struct stat64 *s, int flags), (fd, path, s, flags))

int rename(const char *from, const char *to) {
    REAL(rename);
    return fails(RENAME, AT_FDCWD, to) ? -1 : real(from, to);
}

int renameat(int from_fd, const char *from, int fd, const char *to) {
    REAL(renameat);
    return fails(RENAME, fd, to) ? -1 : real(from_fd, from, fd, to);
}

int link(const char *from, const char *to) {
    REAL(link);
    return fails(RENAME, AT_FDCWD, to) ? -1 : real(from, to);
}

/* Closes as well: where close fails, the descriptor is gone. */
int close(int fd) {
    REAL(close);
    if (!fails(CLOSE, fd, NULL)) return real(fd);
    int error = errno;
    real(fd);
    errno = error;
    return -1;
}

DIR *opendir(const char *path) {
    REAL(opendir);
    return fails(LIST, AT_FDCWD, path) ? NULL : real(path);
}

DIR *fdopendir(int fd) {
    REAL(fdopendir);
    return fails(LIST, fd, NULL) ? NULL : real(fd);
}

struct dirent *readdir(DIR *folder) {
    REAL(readdir);
    return fails(LIST, dirfd(folder), NULL) ? NULL : real(folder);
}

struct dirent64 *readdir64(DIR *folder) {
    REAL(readdir64);
    return fails(LIST, dirfd(folder), NULL) ? NULL : real(folder);
}
