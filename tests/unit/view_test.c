/* The segment reader: what it refuses, what it clamps, and that nothing makes it fault. */
#include "view.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "segment_builder.h"

#define BLOCKS 10000u /* several chunks of random access, and several reads */

static void build(struct segment_builder *builder) {
    segment_builder_init(builder);
    for (uint32_t i = 0; i < BLOCKS; i++)
        segment_builder_block(builder, (struct segment_builder_block){.bytes = i});
}

static struct pp_segment_header *header_of(int fd) {
    void *at = mmap(NULL, PP_SEGMENT_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    return at;
}

static int good_file(void) {
    struct segment_builder builder;
    build(&builder);
    int fd = segment_builder_open(&builder);
    segment_builder_fini(&builder);
    return fd;
}

static void expect_refused(int fd, const char *word) {
    char why[256] = "";
    assert_null(view_open_fd(fd, why, sizeof why));
    if (strstr(why, word) == NULL) fail_msg("'%s' does not say '%s'", why, word);
    assert_null(strchr(why, '\n'));
}

static void refuses_what_is_no_segment(void **state) {
    (void)state;
    char why[256], buffer[PP_SEGMENT_HEADER_BYTES] = "poolprof";
    int fd = memfd_create("x", 0);
    expect_refused(fd, "too short");
    assert_int_equal(write(fd, buffer, 100), 100);
    expect_refused(fd, "too short");
    assert_int_equal(write(fd, buffer + 100, sizeof buffer - 100), sizeof buffer - 100);
    char said[64];
    snprintf(said, sizeof said, "this poolprof reads version %u.", PP_SEGMENT_FORMAT);
    expect_refused(fd, said);
    assert_int_equal(pwrite(fd, "POOL", 4, 0), 4);
    expect_refused(fd, "not a poolprof segment");
    close(fd);
    assert_null(view_open_path("/nonexistent/x", why, sizeof why));
    assert_string_equal(why, "No such file or directory");
    assert_null(view_open_path("/tmp", why, sizeof why));
    assert_string_equal(why, "is a directory");
    assert_null(view_open_path("/dev/null", why, sizeof why));
    assert_string_equal(why, "not a regular file");
}

static void refuses_a_fifo_without_waiting(void **state) {
    (void)state;
    char directory[] = "/tmp/view-XXXXXX", path[64], why[256];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/fifo", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10);
    assert_null(view_open_path(path, why, sizeof why));
    alarm(0);
    unlink(path);
    rmdir(directory);
}

static void refuses_other_layouts(void **state) {
    (void)state;
    int fd = good_file();
    struct pp_segment_header *header = header_of(fd);
    header->version = PP_SEGMENT_VERSION + 1;
    expect_refused(fd, "newer");
    header->version = PP_SEGMENT_VERSION - 1;
    expect_refused(fd, "this poolprof reads version");
    header->version = PP_SEGMENT_VERSION;
    header->header_bytes = 4096;
    expect_refused(fd, "damaged");
    header->header_bytes = PP_SEGMENT_HEADER_BYTES;
    for (int area = 0; area < PP_AREA_COUNT; area++) {
        uint64_t stride = header->areas[area].stride, offset = header->areas[area].offset;
        header->areas[area].stride = 0;
        expect_refused(fd, "damaged");
        header->areas[area].stride = stride * 2;
        expect_refused(fd, "damaged");
        header->areas[area].stride = stride;
        header->areas[area].offset = 8;
        expect_refused(fd, "damaged");
        header->areas[area].offset = offset;
    }
    munmap(header, PP_SEGMENT_HEADER_BYTES);
    close(fd);
}

static uint64_t counted(int fd, enum pp_area_id area) {
    char why[256];
    struct view *view = view_open_fd(fd, why, sizeof why);
    assert_non_null(view);
    uint64_t count = view_count(view, area);
    unsigned char element[4096];
    /* Whatever the count, what it promises can be read, and not one more. */
    if (count > 0) assert_int_equal(view_read(view, area, count - 1, 1, element), 1);
    assert_int_equal(view_read(view, area, count, 1, element), 0);
    assert_int_equal(view_read(view, area, UINT64_MAX, SIZE_MAX, element), 0);
    assert_null(view_element(view, area, count));
    assert_null(view_element(view, area, UINT64_MAX));
    view_close(view);
    return count;
}

static void trusts_no_count(void **state) {
    (void)state;
    int fd = good_file();
    struct pp_segment_header *header = header_of(fd);
    struct pp_area *area = &header->areas[PP_AREA_BLOCKS];
    uint64_t offset = area->offset;
    assert_int_equal(counted(fd, PP_AREA_BLOCKS), BLOCKS + 1);
    area->ready = 10;
    assert_int_equal(counted(fd, PP_AREA_BLOCKS), 10);
    area->ready = BLOCKS + 1;
    area->limit = 5;
    assert_int_equal(counted(fd, PP_AREA_BLOCKS), 5);
    area->limit = UINT64_MAX; /* one by one: clang chains no atomics with what is none */
    area->ready = area->count = UINT64_MAX;
    uint64_t there = counted(fd, PP_AREA_BLOCKS);
    assert_in_range(there, BLOCKS + 1, BLOCKS + 256); /* a few more areas, padded */
    area->offset = UINT64_MAX;
    assert_int_equal(counted(fd, PP_AREA_BLOCKS), 0);
    area->offset = UINT64_MAX - 100;
    assert_int_equal(counted(fd, PP_AREA_BLOCKS), 0);
    area->offset = offset + 1; /* odd, but inside the file */
    counted(fd, PP_AREA_BLOCKS);
    area->offset = offset;
    header->areas[PP_AREA_MODULES].count = UINT64_MAX;
    header->areas[PP_AREA_MODULES].ready = UINT64_MAX;
    header->areas[PP_AREA_MODULES].limit = UINT64_MAX;
    assert_true(counted(fd, PP_AREA_MODULES) <= 65536);
    munmap(header, PP_SEGMENT_HEADER_BYTES);
    close(fd);
}

static void read_and_element_agree(void **state) {
    (void)state;
    char why[256];
    int fd = good_file();
    struct view *view = view_open_fd(fd, why, sizeof why);
    struct pp_segment_block *blocks = calloc(BLOCKS + 10, sizeof *blocks);
    assert_int_equal(view_read(view, PP_AREA_BLOCKS, 1, BLOCKS + 9, blocks), BLOCKS);
    for (uint32_t i = BLOCKS; i > 0; i--) {
        const struct pp_segment_block *block = view_element(view, PP_AREA_BLOCKS, i);
        assert_non_null(block);
        assert_memory_equal(block, &blocks[i - 1], sizeof *block);
        assert_int_equal(PP_BLOCK_BYTES(block->bytes), i - 1);
    }
    free(blocks);
    view_close(view);
    close(fd);
}

static void survives_truncation(void **state) {
    (void)state;
    char why[256];
    int fd = good_file();
    struct view *view = view_open_fd(fd, why, sizeof why);
    uint64_t offset = view_header(view)->areas[PP_AREA_BLOCKS].offset;
    struct pp_segment_block block, *blocks = calloc(BLOCKS, sizeof *blocks);
    assert_int_equal(ftruncate(fd, (off_t)offset + 3 * 32 + 7), 0);
    assert_int_equal(view_read(view, PP_AREA_BLOCKS, 1, BLOCKS, blocks), 2);
    const struct pp_segment_block *gone = view_element(view, PP_AREA_BLOCKS, 5000);
    assert_non_null(gone); /* reads as not published */
    assert_int_equal(gone->word0, 0);
    assert_true(view_refresh(view));
    assert_int_equal(view_count(view, PP_AREA_BLOCKS), 3);
    assert_null(view_element(view, PP_AREA_BLOCKS, 5000));
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(view_read(view, PP_AREA_BLOCKS, 1, 1, &block), 0);
    assert_false(view_refresh(view));
    for (int area = 0; area < PP_AREA_COUNT; area++)
        assert_int_equal(view_count(view, (enum pp_area_id)area), 0);
    assert_int_equal(view_header(view)->pid, 7); /* what it knew */
    free(blocks);
    view_close(view);
    close(fd);
}

static void sees_growth_after_a_refresh(void **state) {
    (void)state;
    char why[256];
    struct segment_builder builder;
    build(&builder);
    segment_builder_block(&builder, (struct segment_builder_block){.bytes = 4242});
    int fd = segment_builder_open(&builder);
    off_t place = offsetof(struct pp_segment_header, areas[PP_AREA_BLOCKS].count);
    uint64_t more = BLOCKS + 2, count = BLOCKS + 1;
    assert_int_equal(pwrite(fd, &count, sizeof count, place), sizeof count);
    struct view *view = view_open_fd(fd, why, sizeof why);
    assert_non_null(view_element(view, PP_AREA_BLOCKS, 1));
    uint64_t bytes = 77, block = view_header(view)->areas[PP_AREA_BLOCKS].offset + sizeof(struct pp_segment_block);
    assert_int_equal(pwrite(fd, &bytes, 8, (off_t)block + (off_t)offsetof(struct pp_segment_block, bytes)), 8);
    assert_int_equal(pwrite(fd, &more, sizeof more, place), sizeof more);
    assert_int_equal(view_count(view, PP_AREA_BLOCKS), BLOCKS + 1);
    assert_true(view_refresh(view));
    assert_int_equal(view_count(view, PP_AREA_BLOCKS), BLOCKS + 2);
    const struct pp_segment_block *first = view_element(view, PP_AREA_BLOCKS, 1);
    assert_int_equal(first->bytes, 77);
    assert_false(view_is_damaged(view));
    segment_builder_fini(&builder);
    view_close(view);
    close(fd);
}

/* Wild writes of the program's own. */
static void mends_what_never_changes(void **state) {
    (void)state;
    static const size_t places[] = {0, offsetof(struct pp_segment_header, header_bytes),
                                    offsetof(struct pp_segment_header, nonce),
                                    offsetof(struct pp_segment_header, areas[PP_AREA_BLOCKS].offset),
                                    offsetof(struct pp_segment_header, areas[PP_AREA_RECORDS].stride)};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char why[256];
        int fd = good_file();
        struct view *view = view_open_fd(fd, why, sizeof why);
        uint64_t wild = UINT64_C(0xfeedfacefeedface), nonce = view_header(view)->nonce;
        assert_int_equal(pwrite(fd, &wild, sizeof wild, (off_t)places[i]), sizeof wild);
        assert_true(view_refresh(view));
        assert_true(view_is_damaged(view));
        assert_int_equal(view_count(view, PP_AREA_BLOCKS), BLOCKS + 1);
        assert_int_equal(view_header(view)->nonce, nonce);
        view_close(view);
        close(fd);
    }
}

static void expect_text(const struct view *view, uint32_t offset, const char *expected,
                        uint32_t after) {
    uint32_t next = 12345;
    char *text = view_text(view, offset, &next);
    assert_string_equal(text, expected);
    assert_int_equal(next, after);
    free(text);
}

static void texts_end_where_they_must(void **state) {
    (void)state;
    char why[256], longest[5000];
    struct segment_builder builder;
    segment_builder_init(&builder);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    uint32_t empty = segment_builder_text(&builder, "");
    uint32_t too_long = segment_builder_text(&builder, longest);
    uint32_t last = segment_builder_text(&builder, "last");
    builder.areas[PP_AREA_TEXT].count--; /* its terminator is cut off */
    int fd = segment_builder_open(&builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    expect_text(view, builder.header.exe, "/opt/game/bin/game", builder.header.exe + 19);
    expect_text(view, empty, "", empty + 1);
    expect_text(view, last, "last", last + 4);
    expect_text(view, 0, "", 0);
    expect_text(view, UINT32_MAX, "", UINT32_MAX);
    expect_text(view, last + 4, "", last + 4);
    char *cut = view_text(view, too_long, NULL);
    assert_int_equal(strlen(cut), 4095);
    free(cut);
    view_close(view);
    segment_builder_fini(&builder);
    close(fd);
}

static void counters_are_summed(void **state) {
    (void)state;
    char why[256];
    uint64_t sums[PP_COUNTER_COUNT];
    struct segment_builder builder;
    segment_builder_init(&builder);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t thread = segment_builder_thread(&builder, "t");
        segment_builder_count(&builder, thread, PP_COUNTER_FREES, i);
        segment_builder_count(&builder, thread, PP_COUNTER_NESTED, UINT64_C(1) << 40);
    }
    int fd = segment_builder_open(&builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    view_counters(view, sums);
    assert_int_equal(sums[PP_COUNTER_FREES], 199 * 200 / 2);
    assert_int_equal(sums[PP_COUNTER_NESTED], UINT64_C(200) << 40);
    assert_int_equal(sums[PP_COUNTER_ALLOCATIONS], 0);
    view_close(view);
    segment_builder_fini(&builder);
    close(fd);
}

/* A live file: huge and sparse. Looking at it must not fill it. */
static void holes_stay_holes(void **state) {
    (void)state;
    char why[256];
    struct stat before, after;
    int fd = good_file();
    struct pp_segment_header *header = header_of(fd);
    struct pp_area *nodes = &header->areas[PP_AREA_NODES];
    nodes->offset = UINT64_C(1) << 30;
    nodes->limit = UINT64_C(1) << 22;
    nodes->ready = nodes->count = UINT64_C(1) << 22;
    assert_int_equal(ftruncate(fd, (off_t)1 << 31), 0);
    fstat(fd, &before);
    struct view *view = view_open_fd(fd, why, sizeof why);
    assert_int_equal(view_count(view, PP_AREA_NODES), UINT64_C(1) << 22);
    for (uint64_t i = 0; i < UINT64_C(1) << 22; i += 1000)
        assert_non_null(view_element(view, PP_AREA_NODES, i));
    fstat(fd, &after);
    assert_int_equal(before.st_blocks, after.st_blocks);
    view_close(view);
    munmap(header, PP_SEGMENT_HEADER_BYTES);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_segment),
        cmocka_unit_test(refuses_a_fifo_without_waiting),
        cmocka_unit_test(refuses_other_layouts),
        cmocka_unit_test(trusts_no_count),
        cmocka_unit_test(read_and_element_agree),
        cmocka_unit_test(survives_truncation),
        cmocka_unit_test(sees_growth_after_a_refresh),
        cmocka_unit_test(mends_what_never_changes),
        cmocka_unit_test(texts_end_where_they_must),
        cmocka_unit_test(counters_are_summed),
        cmocka_unit_test(holes_stay_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
