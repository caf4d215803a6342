/* Calls that wait, of all kinds, in many threads at once, to be looked at from outside meanwhile: none may say that it
   was interrupted, or come back before its time. Those that have a time wait for that; for the others a partner, one
   of each thread's, brings about what they wait for. The first thread is one of them: it is who makes the copies.

   With "unreadable" nobody may stop it, and it has to make its copies by itself. Ends with its standard input, and
   prints how often each kind has waited. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 12u
#define WAIT_MS 20
#define WAIT_NS (WAIT_MS * 1000000L)

/* What one thread waits for, its own. */
struct worker {
    pthread_t thread;
    pthread_barrier_t step;   /* both are at the same row */
    int pipe[2], full[2], pair[2], timed[2], event, timer, queue, notify;
    int listener, timed_listener, locks[2];
    struct sockaddr_un address;
    socklen_t address_bytes;
    int semaphores, messages, full_messages;
    mqd_t mail;
    aio_context_t context;
    int ring;
    sem_t semaphore;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    _Atomic uint32_t word;
};

struct message {
    long kind;
    char text[512];
};

static struct worker workers[WORKERS];
static atomic_bool ends;
static sigset_t signals;
static const struct timespec moment = {0, WAIT_NS};

static struct timespec after(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += WAIT_NS;
    if (time.tv_nsec >= 1000000000) time.tv_sec++, time.tv_nsec -= 1000000000;
    return time;
}

/* ---- those that have a time ---- */

static bool failed(long result, int error) { return result < 0 && errno == error; }

static bool in_poll(struct worker *w) { return poll(&(struct pollfd){w->pipe[0], POLLIN, 0}, 1, WAIT_MS) == 0; }
static bool in_ppoll(struct worker *w) { return ppoll(&(struct pollfd){w->pipe[0], POLLIN, 0}, 1, &moment, NULL) == 0; }
static bool in_select(struct worker *w) {
    (void)w;
    return select(0, NULL, NULL, NULL, &(struct timeval){0, WAIT_MS * 1000}) == 0;
}
static bool in_pselect(struct worker *w) {
    (void)w;
    return pselect(0, NULL, NULL, NULL, &moment, NULL) == 0;
}
static bool in_epoll_wait(struct worker *w) { return epoll_wait(w->queue, &(struct epoll_event){0}, 1, WAIT_MS) == 0; }
static bool in_epoll_pwait(struct worker *w) {
    return epoll_pwait(w->queue, &(struct epoll_event){0}, 1, WAIT_MS, &signals) == 0;
}
static bool in_nanosleep(struct worker *w) {
    (void)w;
    return nanosleep(&moment, NULL) == 0;
}
static bool in_clock_nanosleep(struct worker *w) {
    (void)w;
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) == 0;
}
static bool in_clock_nanosleep_until(struct worker *w) {
    struct timespec until = after(CLOCK_REALTIME);
    (void)w;
    return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0;
}
static bool in_timer(struct worker *w) {
    uint64_t times;
    timerfd_settime(w->timer, 0, &(struct itimerspec){.it_value = moment}, NULL);
    return read(w->timer, &times, sizeof times) == sizeof times;
}
static bool in_timed_recv(struct worker *w) {
    char byte;
    return failed(recv(w->timed[0], &byte, 1, 0), EAGAIN);
}
static bool in_timed_recvmsg(struct worker *w) {
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    return failed(recvmsg(w->timed[0], &header, 0), EAGAIN);
}
static bool in_timed_send(struct worker *w) { return failed(send(w->timed[0], "", 1, 0), EAGAIN); }
static bool in_timed_accept(struct worker *w) { return failed(accept(w->timed_listener, NULL, NULL), EAGAIN); }
static bool in_sem_timedwait(struct worker *w) {
    struct timespec until = after(CLOCK_REALTIME);
    return failed(sem_timedwait(&w->semaphore, &until), ETIMEDOUT);
}
static bool in_timed_futex(struct worker *w) {
    return failed(syscall(SYS_futex, &w->word, FUTEX_WAIT, 0, &moment, NULL, 0), ETIMEDOUT);
}
static bool in_futex_until(struct worker *w) {
    struct timespec until = after(CLOCK_MONOTONIC);
    return failed(syscall(SYS_futex, &w->word, FUTEX_WAIT_BITSET, 0, &until, NULL, UINT32_MAX), ETIMEDOUT);
}
static bool in_condition(struct worker *w) {
    struct timespec until = after(CLOCK_REALTIME);
    pthread_mutex_lock(&w->mutex);
    int result = pthread_cond_timedwait(&w->condition, &w->mutex, &until);
    pthread_mutex_unlock(&w->mutex);
    return result == ETIMEDOUT;
}
static bool in_sigtimedwait(struct worker *w) {
    (void)w;
    return failed(sigtimedwait(&signals, NULL, &moment), EAGAIN);
}
static bool in_semtimedop(struct worker *w) {
    return w->semaphores < 0 || failed(semtimedop(w->semaphores, &(struct sembuf){0, -1, 0}, 1, &moment), EAGAIN);
}
static bool in_io_getevents(struct worker *w) {
    struct io_event event;
    return w->context == 0 || syscall(SYS_io_getevents, w->context, 1, 1, &event, &moment) == 0;
}
static bool in_io_uring(struct worker *w) {
    const struct __kernel_timespec time = {0, WAIT_NS};
    const struct io_uring_getevents_arg more = {.ts = (uintptr_t)&time};
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    return w->ring < 0 || failed(syscall(SYS_io_uring_enter, w->ring, 0, 1, flags, &more, sizeof more), ETIME);
}
static bool in_mq_timedreceive(struct worker *w) {
    struct timespec until = after(CLOCK_REALTIME);
    char text[64];
    return w->mail < 0 || failed(mq_timedreceive(w->mail, text, sizeof text, NULL, &until), ETIMEDOUT);
}
static bool in_wait(struct worker *w) {
    int status;
    (void)w;
    pid_t child = fork();
    if (child == 0) {
        nanosleep(&moment, NULL);
        _exit(7);
    }
    return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7;
}

/* ---- those that wait for the partner ---- */

static bool in_read(struct worker *w) {
    char byte;
    return read(w->pipe[0], &byte, 1) == 1;
}
static void do_write(struct worker *w) { (void)!write(w->pipe[1], "", 1); }
static bool in_write(struct worker *w) { /* which is full, to the page; it takes one away */
    char page[4096] = "";
    return write(w->full[1], page, sizeof page) == sizeof page;
}
static void do_drain(struct worker *w) {
    char page[4096];
    (void)!read(w->full[0], page, sizeof page);
}
static bool in_event(struct worker *w) {
    uint64_t value;
    return read(w->event, &value, sizeof value) == sizeof value;
}
static void do_event(struct worker *w) { (void)!write(w->event, &(uint64_t){1}, sizeof(uint64_t)); }
static bool in_epoll_event(struct worker *w) {
    struct epoll_event event;
    return epoll_wait(w->queue, &event, 1, -1) == 1 && in_event(w);
}
static bool in_poll_event(struct worker *w) {
    return poll(&(struct pollfd){w->event, POLLIN, 0}, 1, -1) == 1 && in_event(w);
}
static bool in_recv(struct worker *w) {
    char byte;
    return recv(w->pair[0], &byte, 1, 0) == 1;
}
static void do_send(struct worker *w) { send(w->pair[1], "", 1, 0); }
static bool in_accept(struct worker *w) {
    int fd = accept(w->listener, NULL, NULL);
    if (fd >= 0) close(fd);
    return fd >= 0;
}
static void do_connect(struct worker *w) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connect(fd, (struct sockaddr *)&w->address, w->address_bytes);
    close(fd);
}
static bool in_msgrcv(struct worker *w) {
    struct message message;
    return w->messages < 0 || msgrcv(w->messages, &message, sizeof message.text, 0, 0) >= 0;
}
static void do_msgsnd(struct worker *w) {
    const struct message message = {.kind = 1};
    if (w->messages >= 0) msgsnd(w->messages, &message, sizeof message.text, 0);
}
static bool in_msgsnd(struct worker *w) { /* which is full */
    const struct message message = {.kind = 1};
    return w->full_messages < 0 || msgsnd(w->full_messages, &message, sizeof message.text, 0) == 0;
}
static void do_msgrcv(struct worker *w) {
    struct message message;
    if (w->full_messages >= 0) msgrcv(w->full_messages, &message, sizeof message.text, 0, 0);
}
static bool in_semop(struct worker *w) {
    return w->semaphores < 0 || semop(w->semaphores, &(struct sembuf){0, -1, 0}, 1) == 0;
}
static void do_semop(struct worker *w) {
    if (w->semaphores >= 0) semop(w->semaphores, &(struct sembuf){0, 1, 0}, 1);
}
static bool in_sigwaitinfo(struct worker *w) {
    (void)w;
    return sigwaitinfo(&signals, NULL) == SIGUSR1;
}
static void do_signal(struct worker *w) { pthread_kill(w->thread, SIGUSR1); }
static bool in_sem_wait(struct worker *w) { return sem_wait(&w->semaphore) == 0; }
static void do_post(struct worker *w) { sem_post(&w->semaphore); }
static bool in_futex(struct worker *w) { /* it may have been before us */
    long result = syscall(SYS_futex, &w->word, FUTEX_WAIT, 0, NULL, NULL, 0);
    bool good = result == 0 || failed(result, EAGAIN);
    while (atomic_load(&w->word) == 0) sched_yield();
    atomic_store(&w->word, 0);
    return good;
}
static void do_wake(struct worker *w) {
    atomic_store(&w->word, 1);
    syscall(SYS_futex, &w->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
static bool in_flock(struct worker *w) {
    return flock(w->locks[1], LOCK_EX) == 0 && flock(w->locks[1], LOCK_UN) == 0 && flock(w->locks[0], LOCK_EX) == 0;
}
static void do_unlock(struct worker *w) { flock(w->locks[0], LOCK_UN); }
static bool in_record_lock(struct worker *w) {
    struct flock lock = {.l_type = F_WRLCK};
    bool good = fcntl(w->locks[1], F_OFD_SETLKW, &lock) == 0;
    lock.l_type = F_UNLCK;
    fcntl(w->locks[1], F_OFD_SETLK, &lock);
    lock.l_type = F_WRLCK;
    return good && fcntl(w->locks[0], F_OFD_SETLKW, &lock) == 0;
}
static void do_unlock_record(struct worker *w) {
    fcntl(w->locks[0], F_OFD_SETLK, &(struct flock){.l_type = F_UNLCK});
}
static bool in_inotify(struct worker *w) {
    struct inotify_event event;
    return read(w->notify, &event, sizeof event) == sizeof event;
}
static void do_change(struct worker *w) { fchmod(w->locks[0], 0600); }
static bool in_mq_receive(struct worker *w) {
    char text[64];
    return w->mail < 0 || mq_receive(w->mail, text, sizeof text, NULL) == 1;
}
static void do_mail(struct worker *w) {
    if (w->mail >= 0) mq_send(w->mail, "", 1, 0);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    bool (*wait)(struct worker *worker);
    void (*feed)(struct worker *worker); /* NULL: not needed */
} rows[] = {
    {"poll", in_poll, NULL}, {"read", in_read, do_write}, {"ppoll", in_ppoll, NULL}, {"write", in_write, do_drain},
    {"select", in_select, NULL}, {"eventfd", in_event, do_event}, {"pselect", in_pselect, NULL},
    {"epoll_wait", in_epoll_wait, NULL}, {"epoll_wait, an event", in_epoll_event, do_event},
    {"epoll_pwait", in_epoll_pwait, NULL}, {"poll, an event", in_poll_event, do_event},
    {"nanosleep", in_nanosleep, NULL}, {"recv", in_recv, do_send}, {"clock_nanosleep", in_clock_nanosleep, NULL},
    {"accept", in_accept, do_connect}, {"clock_nanosleep until", in_clock_nanosleep_until, NULL},
    {"msgrcv", in_msgrcv, do_msgsnd}, {"timerfd", in_timer, NULL}, {"msgsnd", in_msgsnd, do_msgrcv},
    {"recv, SO_RCVTIMEO", in_timed_recv, NULL}, {"semop", in_semop, do_semop},
    {"recvmsg, SO_RCVTIMEO", in_timed_recvmsg, NULL}, {"sigwaitinfo", in_sigwaitinfo, do_signal},
    {"send, SO_SNDTIMEO", in_timed_send, NULL}, {"sem_wait", in_sem_wait, do_post},
    {"accept, SO_RCVTIMEO", in_timed_accept, NULL}, {"futex", in_futex, do_wake},
    {"sem_timedwait", in_sem_timedwait, NULL}, {"flock", in_flock, do_unlock},
    {"futex, a time", in_timed_futex, NULL}, {"record lock", in_record_lock, do_unlock_record},
    {"futex until", in_futex_until, NULL}, {"inotify", in_inotify, do_change},
    {"pthread_cond_timedwait", in_condition, NULL}, {"mq_receive", in_mq_receive, do_mail},
    {"sigtimedwait", in_sigtimedwait, NULL}, {"semtimedop", in_semtimedop, NULL},
    {"io_getevents", in_io_getevents, NULL}, {"io_uring_enter", in_io_uring, NULL},
    {"mq_timedreceive", in_mq_timedreceive, NULL}, {"waitpid", in_wait, NULL},
};
#define ROWS (sizeof rows / sizeof *rows)
static atomic_ulong done[ROWS];

/* Both walk along the table, beginning at another row for each worker. */
static void walk(struct worker *worker, bool feeds) {
    for (size_t row = (size_t)(worker - workers) * ROWS / WORKERS;; row = (row + 1) % ROWS) {
        pthread_barrier_wait(&worker->step);
        if (atomic_load(&ends)) return;
        if (feeds && rows[row].feed != NULL) {
            nanosleep(&moment, NULL);
            rows[row].feed(worker);
        } else if (!feeds) {
            free(malloc(100 + row)); /* a program that allocates nothing cannot be asked for a copy */
            errno = 0;
            if (!rows[row].wait(worker)) {
                dprintf(1, "%s: %s\n", rows[row].name, strerror(errno));
                _exit(1);
            }
            atomic_fetch_add(&done[row], 1);
        }
        pthread_barrier_wait(&worker->step); /* so that `ends` is the same for both */
        if (!feeds) {
            struct pollfd end = {0, POLLIN, 0};
            if (worker == workers && poll(&end, 1, 0) != 0) atomic_store(&ends, true);
        }
    }
}

static void *wait_for_all(void *worker) {
    walk(worker, false);
    return NULL;
}
static void *feed_all(void *worker) {
    walk(worker, true);
    return NULL;
}

/* ---- what they wait for ---- */

static int listen_at(struct sockaddr_un *address, socklen_t *bytes) { /* at an address that the kernel chooses */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    bind(fd, (struct sockaddr *)address, sizeof address->sun_family);
    *bytes = sizeof *address;
    getsockname(fd, (struct sockaddr *)address, bytes);
    listen(fd, 4);
    return fd;
}

static void limit(int fd) {
    const struct timeval time = {0, WAIT_MS * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

static void fill(struct worker *worker) {
    static const char page[4096];
    const struct message message = {.kind = 1};
    while (send(worker->timed[0], page, sizeof page, MSG_DONTWAIT) > 0) {}
    while (send(worker->timed[0], page, 1, MSG_DONTWAIT) > 0) {}
    fcntl(worker->full[1], F_SETFL, O_NONBLOCK);
    while (write(worker->full[1], page, sizeof page) > 0) {}
    fcntl(worker->full[1], F_SETFL, 0);
    int queue = worker->full_messages;
    while (queue >= 0 && msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0) {}
}

static void make_queues(struct worker *worker) {
    char name[64];
    struct mq_attr most = {.mq_maxmsg = 2, .mq_msgsize = 64};
    worker->semaphores = semget(IPC_PRIVATE, 1, 0600);
    worker->messages = msgget(IPC_PRIVATE, 0600);
    worker->full_messages = msgget(IPC_PRIVATE, 0600);
    snprintf(name, sizeof name, "/waits.%d.%d", (int)getpid(), (int)(worker - workers));
    worker->mail = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &most);
    mq_unlink(name);
    syscall(SYS_io_setup, 1, &worker->context);
    worker->ring = (int)syscall(SYS_io_uring_setup, 1, &(struct io_uring_params){0});
}

static void end_queues(void) {
    for (struct worker *worker = workers; worker < workers + WORKERS; worker++) {
        semctl(worker->semaphores, 0, IPC_RMID);
        msgctl(worker->messages, IPC_RMID, NULL);
        msgctl(worker->full_messages, IPC_RMID, NULL);
    }
}

static bool make(struct worker *worker) {
    struct sockaddr_un other;
    socklen_t other_bytes;
    char path[32];
    make_queues(worker);
    sem_init(&worker->semaphore, 0, 0);
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->condition, NULL);
    pthread_barrier_init(&worker->step, NULL, 2);
    if (pipe2(worker->pipe, O_CLOEXEC) != 0 || pipe2(worker->full, O_CLOEXEC) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, worker->pair) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, worker->timed) != 0)
        return false;
    limit(worker->timed[0]);
    worker->event = eventfd(0, EFD_CLOEXEC);
    worker->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    worker->queue = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(worker->queue, EPOLL_CTL_ADD, worker->event, &(struct epoll_event){.events = EPOLLIN});
    worker->listener = listen_at(&worker->address, &worker->address_bytes);
    limit(worker->timed_listener = listen_at(&other, &other_bytes));
    worker->locks[0] = memfd_create("locks", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", worker->locks[0]);
    worker->locks[1] = open(path, O_RDWR | O_CLOEXEC);
    worker->notify = inotify_init1(IN_CLOEXEC);
    inotify_add_watch(worker->notify, path, IN_ATTRIB);
    fill(worker);
    return flock(worker->locks[0], LOCK_EX) == 0 &&
           fcntl(worker->locks[0], F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}) == 0;
}

int main(int argc, char **argv) {
    pthread_t partner;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    atexit(end_queues);
    for (struct worker *worker = workers; worker < workers + WORKERS; worker++)
        if (!make(worker)) return 2;
    workers[0].thread = pthread_self();
    for (struct worker *worker = workers; worker < workers + WORKERS; worker++)
        if (pthread_create(&partner, NULL, feed_all, worker) != 0 ||
            (worker != workers && pthread_create(&worker->thread, NULL, wait_for_all, worker) != 0))
            return 2;
    if (argc > 1 && strcmp(argv[1], "unreadable") == 0) prctl(PR_SET_DUMPABLE, 0);
    dprintf(1, "ready\n");
    walk(workers, false);
    for (unsigned i = 1; i < WORKERS; i++) pthread_join(workers[i].thread, NULL);
    for (size_t row = 0; row < ROWS; row++) dprintf(1, "%lu %s\n", atomic_load(&done[row]), rows[row].name);
    return 0;
}
