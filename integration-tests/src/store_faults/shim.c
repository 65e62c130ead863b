/*
 * Loaded before libc (LD_PRELOAD): tells, in their order, which changes a process makes to the files below a directory
 * and what it syncs. From that a power failure at any moment can be acted out.
 *
 * AUTOMAP_SHIM_ROOT        only files below this directory are told of
 * AUTOMAP_SHIM_LOG         where to; appended to
 * AUTOMAP_SHIM_KILL_AFTER  the process is killed by SIGKILL before its operation of this number
 *
 * One lock is held around each operation with its record, so that records are in the order of the operations, and a
 * process is only killed between two of them.
 *
 * No change goes by unseen: a filter of the kernel (seccomp) traps every system call that could change a file, by whatever
 * way it is made, from the functions below, from within libc, or without libc. The handler lets pass what these functions do
 * and what is not below the directory, tells of fallocate itself, and ends the process for anything else, which a last record
 * names.
 *
 * A record is, in the machine's byte order:
 *
 *   u8 operation, u64 nanoseconds (CLOCK_MONOTONIC, before the operation), u64 inode, u64 offset or length,
 *   u32 length of the first path, u32 of the second, u32 of the data, then these
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum operation { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, ALLOCATE, UNSEEN };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int record_file = -1;
static uint64_t operations, kill_after = UINT64_MAX;
/* Whether this thread is between enter() and leave(): what it does then is told. */
static __thread volatile int telling __attribute__((tls_model("initial-exec")));

static void trap_changes(void);

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
    trap_changes();
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
    telling = 1;
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
    telling = 0;
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

/* ---- what is not made by the functions above ---- */

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#define ARGUMENT(context, index) \
    ((context)->uc_mcontext.gregs[(const int[]){REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9}[index]])
/* Makes a system call; the only place from which the filter lets one pass. */
__asm__(".text\n.hidden pass\n.globl pass\npass:\n"
        "mov %rdi, %rax\nmov %rsi, %r11\n"
        "mov 0(%r11), %rdi\nmov 8(%r11), %rsi\nmov 16(%r11), %rdx\n"
        "mov 24(%r11), %r10\nmov 32(%r11), %r8\nmov 40(%r11), %r9\n"
        "syscall\n.hidden passed\n.globl passed\npassed:\nret\n");
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#define ARGUMENT(context, index) ((context)->uc_mcontext.regs[index])
__asm__(".text\n.hidden pass\n.globl pass\npass:\n"
        "mov x8, x0\nmov x9, x1\n"
        "ldp x0, x1, [x9]\nldp x2, x3, [x9, #16]\nldp x4, x5, [x9, #32]\n"
        "svc #0\n.hidden passed\n.globl passed\npassed:\nret\n");
#else
#error "system calls of this machine are not known here"
#endif

long pass(long number, const long *arguments);
extern const char passed[];

/* How a system call names what it changes. */
enum kind { FILE_FIRST, FILE_THIRD, NAME_FIRST, NAME_SECOND, NAME_THIRD, NAMES, NAMES_AT, OPENS, OPENS_AT, MAPS, ANYTHING };

static const struct { int number; const char *name; enum kind kind; } changes[] = {
    {SYS_write, "write", FILE_FIRST},
    {SYS_pwrite64, "pwrite64", FILE_FIRST},
    {SYS_writev, "writev", FILE_FIRST},
    {SYS_pwritev, "pwritev", FILE_FIRST},
    {SYS_pwritev2, "pwritev2", FILE_FIRST},
    {SYS_ftruncate, "ftruncate", FILE_FIRST},
    {SYS_fallocate, "fallocate", FILE_FIRST},
    {SYS_sendfile, "sendfile", FILE_FIRST},
    {SYS_copy_file_range, "copy_file_range", FILE_THIRD},
    {SYS_splice, "splice", FILE_THIRD},
    {SYS_truncate, "truncate", NAME_FIRST},
    {SYS_mkdirat, "mkdirat", NAME_SECOND},
    {SYS_mknodat, "mknodat", NAME_SECOND},
    {SYS_unlinkat, "unlinkat", NAME_SECOND},
    {SYS_symlinkat, "symlinkat", NAME_THIRD},
    {SYS_linkat, "linkat", NAMES_AT},
    {SYS_renameat2, "renameat2", NAMES_AT},
    {SYS_openat, "openat", OPENS_AT},
    {SYS_mmap, "mmap", MAPS},
    {SYS_openat2, "openat2", ANYTHING},
    {SYS_io_uring_setup, "io_uring_setup", ANYTHING},
#ifdef SYS_renameat
    {SYS_renameat, "renameat", NAMES_AT},
#endif
#ifdef SYS_open
    {SYS_open, "open", OPENS},
    {SYS_creat, "creat", NAME_FIRST},
    {SYS_mkdir, "mkdir", NAME_FIRST},
    {SYS_rmdir, "rmdir", NAME_FIRST},
    {SYS_unlink, "unlink", NAME_FIRST},
    {SYS_mknod, "mknod", NAME_FIRST},
    {SYS_link, "link", NAMES},
    {SYS_symlink, "symlink", NAMES},
    {SYS_rename, "rename", NAMES},
#endif
};
enum { CHANGES = sizeof changes / sizeof changes[0] };

/* Whether a trapped call would change a file or directory of ours. */
static int changes_ours(enum kind kind, const long *arguments) {
    char path[PATH_MAX];
    const long *a = arguments;
    switch (kind) {
    case FILE_FIRST: return ours((int)a[0]) != 0;
    case FILE_THIRD: return ours((int)a[2]) != 0;
    case NAME_FIRST: return place(AT_FDCWD, (const char *)a[0], path);
    case NAME_SECOND: return place((int)a[0], (const char *)a[1], path);
    case NAME_THIRD: return place((int)a[1], (const char *)a[2], path);
    case NAMES: return place(AT_FDCWD, (const char *)a[0], path) || place(AT_FDCWD, (const char *)a[1], path);
    case NAMES_AT: return place((int)a[0], (const char *)a[1], path) || place((int)a[2], (const char *)a[3], path);
    case OPENS: return (a[1] & (O_CREAT | O_TRUNC)) && place(AT_FDCWD, (const char *)a[0], path);
    case OPENS_AT: return (a[2] & (O_CREAT | O_TRUNC)) && place((int)a[0], (const char *)a[1], path);
    case MAPS: return ours((int)a[4]) != 0;
    case ANYTHING: return 1;
    }
    return 1;
}

/* What fallocate makes of a file of ours; 0 when it is a change that is not told of. */
static int allocated(const long *arguments, long *result) {
    struct stat64 before;
    int fd = (int)arguments[0];
    uint64_t end = (uint64_t)arguments[2] + (uint64_t)arguments[3];
    if (arguments[1] != 0) return 0;
    uint64_t at = enter(), inode = ours(fd);
    int known = fstat64(fd, &before) == 0;
    *result = pass(SYS_fallocate, arguments);
    if (*result == 0 && known && end > (uint64_t)before.st_size) record(ALLOCATE, at, inode, end, "", "", "", 0);
    leave();
    return 1;
}

static void trapped(int signal, siginfo_t *info, void *place_of_call) {
    (void)signal;
    int error = errno;
    ucontext_t *context = place_of_call;
    long arguments[6], result = 0;
    for (int index = 0; index < 6; index++) arguments[index] = (long)ARGUMENT(context, index);
    size_t which = 0;
    while (which < CHANGES - 1 && changes[which].number != info->si_syscall) which++;
    if (telling || !changes_ours(changes[which].kind, arguments)) {
        result = pass(info->si_syscall, arguments);
    } else if (info->si_syscall != SYS_fallocate || !allocated(arguments, &result)) {
        uint64_t at = enter();
        record(UNSEEN, at, 0, 0, changes[which].name, "", "", 0);
        abort();
    }
    RESULT(context) = result;
    errno = error;
}

static void trap_changes(void) {
    uint64_t from = (uint64_t)(uintptr_t)passed;
    struct sock_filter filter[CHANGES * 2 + 16];
    unsigned short length = 0;
#define LOAD(field) \
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field) \
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + 4)
#define UNLESS(value, skipped) \
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, skipped)
#define ANSWER(what) filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what)
    LOAD(arch);
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    ANSWER(SECCOMP_RET_KILL_PROCESS);
    LOAD(instruction_pointer);
    UNLESS(from, 3);
    LOAD_HIGH(instruction_pointer);
    UNLESS(from >> 32, 1);
    ANSWER(SECCOMP_RET_ALLOW);
    LOAD(nr);
    /* Of mappings only those that write to a file; memory is mapped all the time. */
    UNLESS(SYS_mmap, 6);
    LOAD(args[3]);
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 3);
    LOAD(args[2]);
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_WRITE, 0, 1);
    ANSWER(SECCOMP_RET_TRAP);
    ANSWER(SECCOMP_RET_ALLOW);
    for (size_t which = 0; which < CHANGES; which++) {
        if (changes[which].number == SYS_mmap) continue;
        UNLESS(changes[which].number, 1);
        ANSWER(SECCOMP_RET_TRAP);
    }
    ANSWER(SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = trapped;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("the system takes no filter of system calls, without which changes could go by unseen");
        _exit(1);
    }
}
