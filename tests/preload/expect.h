/*
 * What a test program tells its driver (expect.py): one line per fact, appended to the file that
 * PP_EXPECT names. The driver checks the profile against it. Written without malloc or stdio, so that
 * telling does not change what is told about. Any thread. C and C++.
 *
 *   EXPECT_SITE("function", objects, bytes)       outstanding at the end, over all sites whose
 *                                                 stack[0].function is that
 *   EXPECT("site function=f objects=1 bytes=2 line=%d", __LINE__)   more keys: see expect.py
 *   EXPECT("none function=f")                     no such site
 *   EXPECT("stack function=f names=f,g,main")     its stack starts with these
 *   EXPECT("count allocations=.. frees=.. bytes=..")  for totals.py: own count of a repeatable part
 */
#ifndef EXPECT_H
#define EXPECT_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __clang__
#define NOINLINE __attribute__((noinline, used))
#else
#define NOINLINE __attribute__((noinline, noclone, used))
#endif

/* A failure that the program sees itself: says where, ends at once with 99. */
#define CHECK(x)                                                                   \
    do {                                                                           \
        if (!(x)) {                                                                \
            char text_[256];                                                       \
            int n_ = snprintf(text_, sizeof text_, "%s:%d: failed: %s\n", __FILE__, \
                              __LINE__, #x);                                       \
            if (write(2, text_, (size_t)n_) < 0) _exit(98);                        \
            _exit(99);                                                             \
        }                                                                          \
    } while (0)

__attribute__((format(printf, 1, 2), unused)) static void EXPECT(const char *format, ...) {
    const char *path = getenv("PP_EXPECT");
    if (!path) return;
    char text[4096];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof text - 1, format, list);
    va_end(list);
    text[length++] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, (size_t)length) != length) _exit(97);
    close(fd);
}

#define EXPECT_SITE(function, objects, bytes) \
    EXPECT("site function=%s objects=%zu bytes=%zu", function, (size_t)(objects), (size_t)(bytes))

/* Where blocks go so that no compiler may drop an allocation. */
__attribute__((unused)) static void *volatile sink;

#endif
