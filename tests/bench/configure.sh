#!/bin/sh
# tests/bench/configure.sh BUILD [ROUNDS]
# What a real ./configure costs under poolprof: thousands of short processes in one tree. Times one of Debian's
# own (the source package of `hello`, else one generated here by autoconf with some 200 checks), bare, with poolprof
# (without profiles too), and with jemalloc alone preloaded, in turn, and prints the ratios (target: at most 1.10).
# Needs gcc and apt or autoconf.
set -eu
build=$(cd "${1:?usage: configure.sh BUILD [ROUNDS]}" && pwd)
rounds=${2:-3}
library=$build/lib/libpoolprof.so
jemalloc=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

generate() {
    command -v autoconf >/dev/null || { [ "$(id -u)" = 0 ] && DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install autoconf >/dev/null 2>&1; }
    cat >"$work/configure.ac" <<'AC'
AC_INIT([sample], [1])
AC_CONFIG_HEADERS([config.h])
AC_USE_SYSTEM_EXTENSIONS
AC_PROG_CC
AC_PROG_INSTALL
AC_PROG_LN_S
AC_PROG_MAKE_SET
AC_SYS_LARGEFILE
AC_CHECK_HEADERS([alloca.h arpa/inet.h dirent.h dlfcn.h endian.h err.h errno.h execinfo.h fcntl.h fenv.h float.h fnmatch.h
  getopt.h glob.h grp.h iconv.h ifaddrs.h inttypes.h langinfo.h libgen.h libintl.h limits.h link.h locale.h malloc.h
  math.h netdb.h netinet/in.h netinet/tcp.h poll.h pthread.h pty.h pwd.h regex.h sched.h search.h semaphore.h setjmp.h
  signal.h spawn.h stdarg.h stdatomic.h stdbool.h stdint.h sys/epoll.h sys/ioctl.h sys/mman.h sys/param.h sys/prctl.h
  sys/resource.h sys/select.h sys/socket.h sys/stat.h sys/statvfs.h sys/syscall.h sys/time.h sys/types.h sys/uio.h
  sys/un.h sys/utsname.h sys/wait.h syslog.h termios.h time.h unistd.h utime.h wchar.h wctype.h])
AC_CHECK_FUNCS([accept4 alarm asprintf atexit backtrace clock_gettime closefrom dup2 dup3 epoll_create1 eventfd explicit_bzero
  fallocate fchmodat fdatasync flock fmemopen fork fseeko fstatat ftruncate futimens getaddrinfo getcwd getentropy
  getgroups gethostname getline getloadavg getopt_long getpagesize getpwnam_r getrandom getrlimit getrusage
  gettimeofday inotify_init isascii localtime_r lseek64 lstat madvise memchr memfd_create memmem memmove mempcpy memset
  mkdirat mkdtemp mkfifo mkostemp mlock mmap mremap munmap nanosleep nl_langinfo openat openpty pipe2 poll popen
  posix_fadvise posix_fallocate posix_memalign posix_spawn ppoll prctl pread preadv pselect pwrite qsort_r rawmemchr
  readlinkat realpath regcomp renameat sched_setaffinity secure_getenv select sendfile setenv setlocale setrlimit
  sigaction signalfd snprintf socket splice stpcpy strcasecmp strchrnul strdup strerror_r strftime strndup strnlen
  strptime strsep strsignal strstr strtoull strverscmp symlinkat sysconf timegm timerfd_create uname unlinkat utimensat
  vasprintf vfork wait4 waitid wcwidth])
AC_CHECK_SIZEOF([int])
AC_CHECK_SIZEOF([long])
AC_CHECK_SIZEOF([void *])
AC_C_BIGENDIAN
AC_C_INLINE
AC_FUNC_ALLOCA
AC_TYPE_SIZE_T
AC_TYPE_SSIZE_T
AC_SEARCH_LIBS([dlopen], [dl])
AC_SEARCH_LIBS([pow], [m])
AC_CONFIG_FILES([out])
AC_OUTPUT
AC
    echo '@CC@' >"$work/out.in"
    : >"$work/config.h.in"
    touch "$work/install-sh" && chmod +x "$work/install-sh"
    (cd "$work" && autoconf) && source=$work
}

fetch() {
    (cd "$work" && apt-get -qq source --download-only hello >/dev/null 2>&1 && tar xf hello_*.orig.tar.gz) || return 1
    source=$(dirname "$(ls "$work"/*/configure)")
}

fetch || generate || { echo "no configure to time: neither apt-get source hello nor autoconf work here"; exit 77; }

# Prints milliseconds of one run. $1: what is preloaded, or nothing.
once() {
    rm -rf "$work/run" && mkdir "$work/run"
    begun=$(date +%s%N)
    (cd "$work/run" && env ${1:+LD_PRELOAD="$1"} POOLPROF_OUTPUT="$work/run/%n.%p.poolprof" POOLPROF_REPORT=none \
        POOLPROF_LOG_LEVEL=error "$source/configure" >log 2>&1) || { tail -5 "$work/run/log" >&2; exit 1; }
    echo $((($(date +%s%N) - begun) / 1000000))
}

least() { sort -n | head -1; }
once "" >/dev/null # warms the page cache
for i in $(seq "$rounds"); do
    once "" >>"$work/bare"
    once "$library" >>"$work/poolprof"
    profiles=$(find "$work/run" -name '*.poolprof*' | wc -l)
    POOLPROF_ENABLE=0 once "$library" >>"$work/disabled"
    [ ! -e "$jemalloc" ] || once "$jemalloc" >>"$work/jemalloc"
done
bare=$(least <"$work/bare")
printf 'configure of %s: bare %d ms; %d profiles\n' "$(basename "$source")" "$bare" "$profiles"
for name in poolprof disabled jemalloc; do
    [ -e "$work/$name" ] || continue
    each=$(least <"$work/$name")
    printf '%-10s %6d ms  %s times\n' "$name" "$each" "$(awk "BEGIN {printf \"%.2f\", $each / $bare}")"
done
