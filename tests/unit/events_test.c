/* Events and outputs: files, sockets of both kinds, listeners that come, go, or do not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../report/events.h"

static char directory[64];
static struct pp_pattern names;

static int set_up(void **unused) {
    snprintf(directory, sizeof directory, "/tmp/pp_events_XXXXXX");
    signal(SIGPIPE, SIG_IGN);
    names = (struct pp_pattern){.program = "/usr/bin/game", .host = "box", .directory = directory,
                                .pid = 42, .started_s = 1700000000};
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **unused) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void make_path(char path[PATH_MAX], const char *name) {
    snprintf(path, PATH_MAX, "%s/%s", directory, name);
}

static int listen_at(const char *name, int kind) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, kind | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (kind == SOCK_STREAM)
        assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void open_events(struct events *events, const char *where) {
    char why[256] = "";
    assert_true(events_open(events, where, &names, INT64_C(1700000000123456789), why, sizeof why));
    assert_string_equal(why, "");
}

static const struct model_sample sample = {
    .t_s = 1.5, .rss_bytes = 1000, .heap_bytes = 900, .objects = 7, .interval_s = 5};
static const struct model_alert alert = {
    .t_s = 2, .rule = "mem_warn", .level = "warn", .state = "raised", .value = 12.6,
    .threshold = 10, .next_s = 30};

static void check_sample_line(const char *line) {
    json_t *row = json_loads(line, 0, NULL);
    assert_non_null(row);
    assert_string_equal(json_string_value(json_object_get(row, "type")), "sample");
    assert_string_equal(json_string_value(json_object_get(row, "t")), "2023-11-14T22:13:21.623Z");
    assert_int_equal(json_integer_value(json_object_get(row, "pid")), 42);
    assert_int_equal(json_integer_value(json_object_get(row, "rss_bytes")), 1000);
    assert_int_equal(json_integer_value(json_object_get(row, "heap_bytes")), 900);
    assert_int_equal(json_integer_value(json_object_get(row, "objects")), 7);
    assert_true(json_number_value(json_object_get(row, "interval_s")) == 5);
    json_decref(row);
}

static void test_file_appends(void **unused) {
    char path[PATH_MAX], line[1024];
    struct stat file;
    make_path(path, "game.42.events");
    for (int round = 0; round < 2; round++) {
        struct events events;
        open_events(&events, "%n.%p.events");
        events_sample(&events, &sample);
        events_alert(&events, &alert);
        events_close(&events);
    }
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    FILE *in = fopen(path, "r");
    for (int round = 0; round < 2; round++) {
        assert_non_null(fgets(line, sizeof line, in));
        check_sample_line(line);
        assert_non_null(fgets(line, sizeof line, in));
        json_t *row = json_loads(line, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(row, "rule")), "mem_warn");
        assert_string_equal(json_string_value(json_object_get(row, "state")), "raised");
        assert_true(json_number_value(json_object_get(row, "value")) == 12.6);
        json_decref(row);
    }
    assert_null(fgets(line, sizeof line, in));
    fclose(in);
}

static void test_bad_places(void **unused) {
    char why[256], too_long[300];
    struct events events;
    assert_false(events_open(&events, "/nowhere/at/all/x", &names, 0, why, sizeof why));
    assert_non_null(strstr(why, "No such file"));
    events_sample(&events, &sample); /* goes nowhere, harmless */
    events_close(&events);
    assert_false(events_open(&events, "%z", &names, 0, why, sizeof why));
    assert_false(events_open(&events, "unix:%z", &names, 0, why, sizeof why));
    int packets = listen_at("packets", SOCK_SEQPACKET); /* of neither kind that we speak */
    assert_true(events_open(&events, "unix:packets", &names, 0, why, sizeof why));
    events_sample(&events, &sample);
    assert_int_equal(events.dropped, 1);
    events_close(&events);
    close(packets);
    memset(too_long, 'x', sizeof too_long - 1);
    memcpy(too_long, "unix:/", 6);
    too_long[sizeof too_long - 1] = 0;
    assert_false(events_open(&events, too_long, &names, 0, why, sizeof why));
    assert_true(events_open(&events, "none", &names, 0, why, sizeof why));
    events_sample(&events, &sample);
    events_close(&events);
}

static void test_datagrams(void **unused) {
    int listener = listen_at("datagrams", SOCK_DGRAM);
    struct events events;
    char line[1024] = "";
    open_events(&events, "unix:datagrams");
    events_sample(&events, &sample);
    ssize_t bytes = recv(listener, line, sizeof line - 1, 0);
    assert_true(bytes > 0 && line[bytes - 1] == '\n');
    check_sample_line(line);
    events_close(&events);
    close(listener);
}

static int accept_now(int listener) {
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* Not there at first, then there, gone, there again: each time it comes back by itself. */
static void test_reconnects(void **unused) {
    struct events events;
    char line[1024];
    open_events(&events, "unix:stream");
    events_sample(&events, &sample);
    assert_int_equal(events.dropped, 1);
    for (int round = 0; round < 2; round++) {
        int listener = listen_at("stream", SOCK_STREAM);
        events.output.retry_ms = 0;
        events_sample(&events, &sample);
        int fd = accept_now(listener);
        ssize_t bytes = read(fd, line, sizeof line - 1);
        assert_true(bytes > 0);
        line[bytes] = 0;
        check_sample_line(line);
        close(fd);
        close(listener);
        events_sample(&events, &sample); /* notices */
    }
    events_close(&events);
}

/* A listener that does not read for a while: no waiting, whole lines only, none torn or merged. */
static void test_slow_reader(void **unused) {
    int listener = listen_at("slow", SOCK_STREAM);
    struct events events;
    open_events(&events, "unix:slow");
    int fd = accept_now(listener), lines = 0;
    for (int i = 0; i < 20000; i++)
        events_sample(&events, &sample);
    assert_true(events.dropped > 0);
    FILE *in = fdopen(fd, "r");
    char line[1024];
    uint64_t dropped = events.dropped;
    int status = fcntl(fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(status, 0);
    size_t kept = 0;
    for (int i = 0; i < 20000; i++) {
        if (!fgets(line + kept, (int)(sizeof line - kept), in)) {
            clearerr(in);
            if (events.rest == NULL)
                break;
        }
        kept = strlen(line);
        if (kept && line[kept - 1] == '\n') {
            check_sample_line(line);
            lines++;
            kept = 0;
        } else {
            events_sample(&events, &sample); /* pushes the tail of the torn one */
        }
        line[kept] = 0;
    }
    assert_true((uint64_t)lines + dropped >= 20000 - 1);
    fclose(in);
    events_close(&events);
    close(listener);
}

/* A file that takes a part of a line only: the rest follows when there is room, before any other line. */
static void test_full(void **unused) {
    struct events events;
    struct rlimit before, tight;
    char path[PATH_MAX], line[1024];
    make_path(path, "full");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    open_events(&events, "full");
    for (int round = 0; round < 2; round++) {
        tight = (struct rlimit){.rlim_cur = round ? 30 : 10, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        events_sample(&events, &sample);
    }
    assert_int_equal(events.dropped, 1);
    assert_true(events.rest_bytes > 30);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    events_sample(&events, &sample);
    events_close(&events);
    FILE *in = fopen(path, "r");
    for (int i = 0; i < 2; i++) {
        assert_non_null(fgets(line, sizeof line, in));
        check_sample_line(line);
    }
    assert_null(fgets(line, sizeof line, in));
    fclose(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_appends), cmocka_unit_test(test_bad_places),
        cmocka_unit_test(test_datagrams),    cmocka_unit_test(test_reconnects),
        cmocka_unit_test(test_slow_reader),  cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
