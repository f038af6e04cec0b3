/* A disk that fails: preloaded into the program under test, it makes the N-th call that changes the disk fail, or kills
 * the process right before it. HOMING_DISK_FAULT is "N errno" or "N kill"; HOMING_DISK_COUNT names a file that gets the
 * number of such calls when the program ends. Calls are those to the C library; direct system calls pass by. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int calls;
static int at = -1, error, kills;

__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("HOMING_DISK_FAULT");
    char *rest;
    if (!fault) return;
    at = (int)strtol(fault, &rest, 10);
    kills = strstr(rest, "kill") != NULL;
    error = (int)strtol(rest, NULL, 10);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("HOMING_DISK_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%d\n", (int)calls);
    fclose(file);
}

/* Whether this call is to fail. */
static int fails(void) {
    if (atomic_fetch_add(&calls, 1) + 1 != at) return 0;
    if (kills) kill(getpid(), SIGKILL);
    errno = error;
    return 1;
}

static int is_file(int fd) {
    struct stat status;
    int before = errno;
    int file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    errno = before;
    return file;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define SIMPLE(type, name, params, args, when) \
    type name params { return (when) && fails() ? (type)-1 : REAL(name) args; }

SIMPLE(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), is_file(fd))
SIMPLE(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), is_file(fd))
SIMPLE(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off64_t off), (fd, buf, n, off), is_file(fd))
SIMPLE(int, ftruncate64, (int fd, off64_t n), (fd, n), 1)
SIMPLE(int, fsync, (int fd), (fd), 1)
SIMPLE(int, fdatasync, (int fd), (fd), 1)
SIMPLE(int, rename, (const char *a, const char *b), (a, b), 1)
SIMPLE(int, link, (const char *a, const char *b), (a, b), 1)
SIMPLE(int, linkat, (int f, const char *a, int t, const char *b, int g), (f, a, t, b, g), 1)
SIMPLE(int, unlink, (const char *a), (a), 1)
SIMPLE(int, rmdir, (const char *a), (a), 1)
SIMPLE(int, mkdir, (const char *a, mode_t m), (a, m), 1)

SIMPLE(int, futimens, (int fd, const struct timespec t[2]), (fd, t), 1)
SIMPLE(ssize_t, copy_file_range, (int a, off64_t *x, int b, off64_t *y, size_t n, unsigned f), (a, x, b, y, n, f), 1)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (mode_t)va_arg(rest, int); \
        va_end(rest); \
        return (flags & O_CREAT) && fails() ? -1 : REAL(name)(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)
