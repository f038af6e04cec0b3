/* A disk that fails: preloaded into the program under test, it makes calls to the C library fail.
 *
 * HOMING_DISK_FAULT is "N errno" or "N kill": the N-th call that changes the disk fails, or the process dies right before it.
 * HOMING_DISK_PLACE is "errno WHAT SKIP PART": where the path holds PART, all but the first SKIP calls fail that change
 * something (WHAT is "changes"), that write into a file ("writes"), or that open something ("reads"). HOMING_DISK_COUNT names a file that gets, when the program ends, the number of calls
 * that failed at the place, or where none is named of those that change the disk. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

static atomic_int calls, struck;
static int at = -1, error, kills, skip;
static char what;
static const char *place;

__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("HOMING_DISK_FAULT"), *where = getenv("HOMING_DISK_PLACE");
    char *rest;
    if (where) {
        error = (int)strtol(where, &rest, 10);
        what = rest[1];
        skip = (int)strtol(strchr(rest + 1, ' '), &rest, 10);
        place = rest + 1;
    } else if (fault) {
        at = (int)strtol(fault, &rest, 10);
        kills = strstr(rest, "kill") != NULL;
        error = (int)strtol(rest, NULL, 10);
    }
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("HOMING_DISK_COUNT");
    int count = !place ? calls : struck > skip ? struck - skip : 0;
    place = NULL;
    at = -1;
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%d\n", count);
    fclose(file);
}

/* Whether the path, below the directory `dir` (or AT_FDCWD), is at the place; no path means that of `dir` itself. */
static int is_there(int dir, const char *path) {
    char link[64], name[PATH_MAX] = "";
    int before = errno;
    ssize_t n = 0;
    if (path && strstr(path, place)) return 1;
    if (path && (*path == '/' || dir == AT_FDCWD)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    n = readlink(link, name, sizeof name - 1);
    errno = before;
    if (n < 0) return 0;
    name[n] = 0;
    if (path && n + strlen(path) + 2 < sizeof name) {
        strcat(name, "/");
        strcat(name, path);
    }
    return strstr(name, place) != NULL;
}

static int fails_there(int dir, const char *path) {
    if (!is_there(dir, path) || atomic_fetch_add(&struck, 1) < skip) return 0;
    errno = error;
    return 1;
}

/* Whether a call that changes this is to fail. */
static int fails(int dir, const char *path) {
    if (place) return (what == 'c' || (what == 'w' && !path)) && fails_there(dir, path);
    if (atomic_fetch_add(&calls, 1) + 1 != at) return 0;
    if (kills) kill(getpid(), SIGKILL);
    errno = error;
    return 1;
}

static int fails_either(int f, const char *a, int t, const char *b) {
    return place ? fails(f, a) || fails(t, b) : fails(f, a);
}

static int is_file(int fd) {
    struct stat status;
    int before = errno;
    int file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    errno = before;
    return file;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CALL(type, name, params, args, failure) \
    type name params { return (failure) ? (type)-1 : REAL(name) args; }

CALL(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), is_file(fd) && fails(fd, NULL))
CALL(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), is_file(fd) && fails(fd, NULL))
CALL(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off64_t off), (fd, buf, n, off), is_file(fd) && fails(fd, NULL))
CALL(int, ftruncate64, (int fd, off64_t n), (fd, n), fails(fd, NULL))
CALL(int, fsync, (int fd), (fd), fails(fd, NULL))
CALL(int, fdatasync, (int fd), (fd), fails(fd, NULL))
CALL(int, syncfs, (int fd), (fd), fails(fd, NULL))
CALL(int, futimens, (int fd, const struct timespec t[2]), (fd, t), fails(fd, NULL))
CALL(int, rename, (const char *a, const char *b), (a, b), fails_either(AT_FDCWD, a, AT_FDCWD, b))
CALL(int, renameat2, (int f, const char *a, int t, const char *b, unsigned g), (f, a, t, b, g), fails_either(f, a, t, b))
CALL(int, link, (const char *a, const char *b), (a, b), fails_either(AT_FDCWD, a, AT_FDCWD, b))
CALL(int, linkat, (int f, const char *a, int t, const char *b, int g), (f, a, t, b, g), fails_either(f, a, t, b))
CALL(int, unlink, (const char *a), (a), fails(AT_FDCWD, a))
CALL(int, unlinkat, (int d, const char *a, int g), (d, a, g), fails(d, a))
CALL(int, rmdir, (const char *a), (a), fails(AT_FDCWD, a))
CALL(int, mkdir, (const char *a, mode_t m), (a, m), fails(AT_FDCWD, a))
CALL(ssize_t, copy_file_range, (int a, off64_t *x, int b, off64_t *y, size_t n, unsigned f), (a, x, b, y, n, f), fails(b, NULL))

/* Whether opening this is to fail. A file without a name (O_TMPFILE) is made, too. */
static int fails_to_open(int dir, const char *path, int flags) {
    if (place && what == 'r') return fails_there(dir, path);
    return ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) && fails(dir, path);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (mode_t)va_arg(rest, int); \
        va_end(rest); \
        return fails_to_open(AT_FDCWD, path, flags) ? -1 : REAL(name)(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)

DIR *opendir(const char *path) {
    return place && what == 'r' && fails_there(AT_FDCWD, path) ? NULL : REAL(opendir)(path);
}
