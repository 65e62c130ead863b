/*
 * Loaded before libc (LD_PRELOAD): tells, in their order, which changes a process makes to the files below a directory
 * and what it syncs. From that a power failure at any moment can be acted out.
 *
 * AUTOMAP_SHIM_ROOT        only files below this directory are told of
 * AUTOMAP_SHIM_LOG         where to; appended to
 * AUTOMAP_SHIM_KILL_AFTER  the process is killed by SIGKILL before its operation of this number
 *
 * One lock is held around each operation with its record, so that records are in the order of the operations, and a
 * process is only killed between two of them. A record is, in the machine's byte order:
 *
 *   u8 operation, u64 nanoseconds (CLOCK_MONOTONIC, before the operation), u64 inode, u64 offset or length,
 *   u32 length of the first path, u32 of the second, u32 of the data, then these
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum operation { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int record_file = -1;
static uint64_t operations, kill_after = UINT64_MAX;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void begin(void) {
    const char *directory = getenv("AUTOMAP_SHIM_ROOT"), *file = getenv("AUTOMAP_SHIM_LOG");
    const char *last = getenv("AUTOMAP_SHIM_KILL_AFTER");
    if (!directory || !file || !realpath(directory, root)) return;
    int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    record_file = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    root_length = strlen(root);
    if (last) kill_after = strtoull(last, NULL, 10);
}

static int below_root(const char *path) {
    return record_file >= 0 && strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

/* The absolute path of a name in a directory; 0 when it is none of ours. */
static int place(int directory, const char *name, char *path) {
    if (record_file < 0) return 0;
    if (name[0] == '/') {
        if (strlen(name) >= PATH_MAX) return 0;
        strcpy(path, name);
    } else {
        char link[64];
        snprintf(link, sizeof link, directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        if (length < 0 || (size_t)length + strlen(name) + 2 > PATH_MAX) return 0;
        path[length] = '/';
        strcpy(path + length + 1, name);
    }
    return below_root(path);
}

/* The inode of a file or directory of ours; 0 for anything else. */
static uint64_t ours(int fd) {
    struct stat64 found;
    char link[64], path[PATH_MAX];
    if (record_file < 0 || fstat64(fd, &found) || !(S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below_root(path) ? found.st_ino : 0;
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Takes the turn; answers when. */
static uint64_t enter(void) {
    pthread_mutex_lock(&turn);
    if (++operations > kill_after) kill(getpid(), SIGKILL);
    return now();
}

static void record(uint8_t operation, uint64_t at, uint64_t inode, uint64_t number, const char *path,
                   const char *other, const void *data, uint32_t data_length) {
    uint32_t lengths[3] = {(uint32_t)strlen(path), (uint32_t)strlen(other), data_length};
    struct iovec parts[8] = {{&operation, 1},   {&at, 8},
                             {&inode, 8},       {&number, 8},
                             {lengths, 12},     {(void *)path, lengths[0]},
                             {(void *)other, lengths[1]}, {(void *)data, data_length}};
    size_t total = 37 + lengths[0] + lengths[1] + data_length;
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (real(record_file, parts, 8) != (ssize_t)total) abort();
}

static void leave(void) {
    int error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
}

static int opened(int directory, const char *name, int flags, mode_t mode) {
    REAL(int, "openat64", int, const char *, int, ...);
    char path[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC)) || !place(directory, name, path)) return real(directory, name, flags, mode);
    uint64_t at = enter();
    struct stat64 before, after;
    int existed = stat64(path, &before) == 0;
    int fd = real(directory, name, flags, mode);
    if (fd >= 0 && fstat64(fd, &after) == 0) {
        if (!existed)
            record(CREATE, at, after.st_ino, 0, path, "", "", 0);
        else if (flags & O_TRUNC)
            record(TRUNCATE, at, after.st_ino, 0, "", "", "", 0);
    }
    leave();
    return fd;
}

#define MODE_ARGUMENT(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *name, int flags, ...) { MODE_ARGUMENT(flags) return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE_ARGUMENT(flags) return opened(AT_FDCWD, name, flags, mode); }
int openat(int at, const char *name, int flags, ...) { MODE_ARGUMENT(flags) return opened(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE_ARGUMENT(flags) return opened(at, name, flags, mode); }

ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    uint64_t inode = ours(fd);
    if (!inode) return real(fd, data, length);
    uint64_t at = enter();
    struct stat64 before;
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    off64_t offset = lseek64(fd, 0, SEEK_CUR);
    if (appends && fstat64(fd, &before) == 0) offset = before.st_size;
    ssize_t written = real(fd, data, length);
    if (written > 0) record(WRITE, at, inode, (uint64_t)offset, "", "", data, (uint32_t)written);
    leave();
    return written;
}

static ssize_t written_at(int fd, const void *data, size_t length, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    uint64_t inode = ours(fd);
    if (!inode) return real(fd, data, length, offset);
    uint64_t at = enter();
    ssize_t written = real(fd, data, length, offset);
    if (written > 0) record(WRITE, at, inode, (uint64_t)offset, "", "", data, (uint32_t)written);
    leave();
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return written_at(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return written_at(fd, data, length, at); }

/* Nobody writes a file of ours so; if that changes, it must not go unnoticed. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (ours(fd)) abort();
    return real(fd, parts, count);
}

static int truncated(int fd, off64_t length) {
    REAL(int, "ftruncate64", int, off64_t);
    uint64_t inode = ours(fd);
    if (!inode) return real(fd, length);
    uint64_t at = enter();
    int outcome = real(fd, length);
    if (outcome == 0) record(TRUNCATE, at, inode, (uint64_t)length, "", "", "", 0);
    leave();
    return outcome;
}

int ftruncate(int fd, off_t length) { return truncated(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }

int fsync(int fd) {
    REAL(int, "fsync", int);
    uint64_t inode = ours(fd);
    if (!inode) return real(fd);
    uint64_t at = enter();
    /* Nothing here outlives the machine: what counts is that it was asked for. */
    record(SYNC, at, inode, 0, "", "", "", 0);
    leave();
    return 0;
}

int fdatasync(int fd) { return fsync(fd); }

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    char source[PATH_MAX], target[PATH_MAX];
    if (!place(from_directory, from, source) || !place(to_directory, to, target))
        return real(from_directory, from, to_directory, to, flags);
    uint64_t at = enter();
    int outcome = real(from_directory, from, to_directory, to, flags);
    if (outcome == 0) record(RENAME, at, 0, 0, source, target, "", 0);
    leave();
    return outcome;
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char *name, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    char path[PATH_MAX];
    if (!place(directory, name, path)) return real(directory, name, flags);
    uint64_t at = enter();
    int outcome = real(directory, name, flags);
    if (outcome == 0) record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, at, 0, 0, path, "", "", 0);
    leave();
    return outcome;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int directory, const char *name, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    char path[PATH_MAX];
    if (!place(directory, name, path)) return real(directory, name, mode);
    uint64_t at = enter();
    int outcome = real(directory, name, mode);
    struct stat64 made;
    if (outcome == 0 && stat64(path, &made) == 0) record(MKDIR, at, made.st_ino, 0, path, "", "", 0);
    leave();
    return outcome;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
