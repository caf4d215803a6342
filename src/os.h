/*
 * All that the core wants from Linux; os.c is the only file with system calls. They are issued
 * directly, not through libc's wrappers: errno is never touched, nothing is a cancellation point, and
 * the results are the kernel's (negative errno on failure).
 * Every function here may be called from any thread, in a signal handler and under any lock.
 */
#ifndef PP_OS_H
#define PP_OS_H

#include "base.h"

/* Private anonymous memory, zeroed, readable and writable, not charged before it is touched.
   NULL when refused. `bytes` is rounded up to pages. */
void *pp_os_map(size_t bytes);
/* Address space without memory: PROT_NONE, not in core dumps. NULL when refused. */
void *pp_os_reserve(size_t bytes);
/* Makes a part of a reservation (page aligned) readable and writable. */
bool pp_os_commit(void *at, size_t bytes);
/* The reverse: memory given back, PROT_NONE again. */
void pp_os_decommit(void *at, size_t bytes);
/* Makes memory, or address space without, of a stretch where there is nothing; false: refused, or there is. */
bool pp_os_map_here(void *at, size_t bytes, bool writable);
void pp_os_unmap(void *at, size_t bytes);
/* Makes the mapping that ends at `end` longer by `bytes`, in place. */
bool pp_os_extend(void *end, size_t bytes);
/* mmap and madvise as they are, for what jemalloc asks of memory that it already owns. */
int64_t pp_os_map_at(void *at, size_t bytes, int protection, int flags);
int64_t pp_os_advise(void *at, size_t bytes, int advice);
/* Makes the pages vanish in forked children (zeroed there). */
bool pp_os_wipe_on_fork(void *at, size_t bytes);
/* Leaves the pages out of forked children and of core dumps. */
void pp_os_hide_from_fork(void *at, size_t bytes);

/* True if the 8 bytes at `at` can be read: one harmless system call, never a fault. Reads that may
   span two pages need a question for each. */
bool pp_os_readable(const void *at);
/* Copies from possibly bad memory; false if any byte was not readable. */
bool pp_os_read_memory(const void *from, void *to, size_t bytes);

/* CLOCK_MONOTONIC_COARSE and CLOCK_REALTIME in ns. Coarse steps by 1-4 ms and costs about 6 ns. */
int64_t pp_os_now_coarse(void);
/* The same in two parts. */
struct pp_os_coarse { int64_t s; uint32_t ns; };
struct pp_os_coarse pp_os_coarse(void);
int64_t pp_os_now(void); /* CLOCK_MONOTONIC */
int64_t pp_os_now_real(void);

int pp_os_pid(void);
int pp_os_parent_pid(void);
int pp_os_tid(void);
uintptr_t pp_os_thread_pointer(void); /* of the calling thread, which libc keeps in fs */
void pp_os_allow_tracer(int pid); /* where only ancestors may look at a process, this one may, too */
unsigned pp_os_uid(void);
bool pp_os_alive(int pid); /* a process of this pid exists */
int64_t pp_os_prctl(int option, const unsigned long arguments[4]);
void pp_os_kill(int pid); /* SIGKILL; negative: the group of that number */
bool pp_os_sandboxed(void); /* this process is under a seccomp filter */
/* A launcher has put a seccomp filter on us, which may kill for what we do: create files, clone. A
   filter that the first process of our namespace has too is a container's, and those let programs
   live. Reads /proc if there is a filter. */
bool pp_os_confined(void);
int64_t pp_os_copy(void); /* fork without a signal at its end, sharing descriptors: pid, 0 in the child, -errno */
uint64_t pp_os_block_signals(void); /* all, of the calling thread; returns what it had */
void pp_os_set_signals(uint64_t mask);
bool pp_os_reaped(int pid); /* our hidden child `pid` has ended (and is reaped now) */
uint64_t pp_os_memory_limit(void); /* bytes: physical memory or the cgroup's limit, the lower */
uint64_t pp_os_memory_and_swap(void); /* bytes of the machine; UINT64_MAX: not told */
void pp_os_thread_name(char name[16]);
bool pp_os_random(void *to, size_t bytes);
uint64_t pp_os_limit(int resource); /* soft limit, UINT64_MAX for none; `resource` as RLIMIT_* */
int64_t pp_os_set_limit(int pid, int resource, const void *to, void *before); /* prlimit as it is */

/* Sleeps while *word == value, at most `ns` (< 0: for ever). false on timeout. The word is shared. */
/* From now on these two make no system call: waiting is looking, and who is to be woken has to look, too. */
void pp_os_go_quiet(void);
bool pp_os_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t ns);
void pp_os_futex_wake(_Atomic uint32_t *word);
void pp_os_pause(void); /* gives the processor away: for lock loops */

/* Files: kernel's results, paths relative to `dir` or -100 (AT_FDCWD). */
int pp_os_open(int dir, const char *path, int flags, unsigned mode);
int64_t pp_os_read(int fd, void *to, size_t bytes);
int64_t pp_os_write(int fd, const void *from, size_t bytes);
int64_t pp_os_write_at(int fd, const void *from, size_t bytes, uint64_t offset);
int pp_os_duplicate(int fd, int first); /* close-on-exec, lowest number from `first` on */
bool pp_os_truncate(int fd, uint64_t bytes);
void pp_os_close(int fd);
bool pp_os_exists(const char *path);
uint64_t pp_os_inode(const char *path); /* 0: there is none */
int pp_os_unlink(const char *path);
int pp_os_mkdir(const char *path, unsigned mode);
/* True for a directory of ours (by uid) that nobody else can write. */
bool pp_os_private_directory(const char *path);
/* Bytes that we may still write to the file system it is on; UINT64_MAX: not known. */
uint64_t pp_os_room(const char *path);
/* Length, or negative errno. Not terminated beyond what the kernel writes. */
int64_t pp_os_readlink(const char *path, char *to, size_t bytes);
int64_t pp_os_cwd(char *to, size_t bytes);
bool pp_os_host_name(char to[65]);
bool pp_os_executable(const char *path); /* exists and may be executed by us */

/* A file mapped shared over `reserve` bytes, sparse, hidden from forks and core dumps; the descriptor
   is closed. Only `header` bytes have memory at first. NULL when refused: then nothing is left. */
void *pp_os_map_file(const char *path, size_t reserve, size_t header);
/* The same without a name, for where no directory will do: a memfd, which stays open as *fd. */
void *pp_os_map_memory_file(size_t reserve, size_t header, int *fd);
/* Maps the start of an open file shared; NULL: refused, or the file is shorter. */
void *pp_os_map_shared(int fd, size_t bytes);
/* Raw directory entries (struct linux_dirent64); 0 at the end. */
int64_t pp_os_list(int fd, void *to, size_t bytes);
/* Puts memory behind a part of a file mapping. false: the file system or the memory limit is full
   (never SIGBUS). */
bool pp_os_populate(void *at, size_t bytes);

/* Starts argv[0] as a process that the host cannot see: no SIGCHLD, no wait answers for it, no thread,
   no descriptor. It gets its own session, default signal dispositions, an empty mask, `fd` as its
   descriptor 3, a pidfd of the host as 4, /dev/null as 0 and 1, and the host's 2. Returns the pid of
   the stub that waits for it (for pp_os_reaped), or negative errno. os_start.c has the recipe. */
int pp_os_start_hidden(char *const argv[], char *const envp[], int fd);

/* The calling thread takes no SIGCHLD from here on. */
void pp_os_block_child_signal(void);
/* execve; returns only if it is refused. */
void pp_os_exec(const char *path, char *const argv[], char *const envp[]);
__attribute__((noreturn)) void pp_os_exit_group(int status);

#endif
