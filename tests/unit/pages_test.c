/* Documents: made once for many who ask, kept while fresh, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/pages.h"

struct maker {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;        /* nothing is made until it is opened */
    unsigned made, done;
};

static struct page *make(void *context, const struct page_key *key) {
    struct maker *maker = context;
    char *text = NULL;
    pthread_mutex_lock(&maker->lock);
    while (maker->closed)
        pthread_cond_wait(&maker->changed, &maker->lock);
    unsigned number = ++maker->made;
    pthread_mutex_unlock(&maker->lock);
    int bytes = asprintf(&text, "%u of %u", number, key->kind);
    return page_create(200, text, (size_t)bytes);
}

static void done(void *context) {
    struct maker *maker = context;
    pthread_mutex_lock(&maker->lock);
    maker->done = maker->made; /* of the same thread: all that was made is there */
    pthread_cond_broadcast(&maker->changed);
    pthread_mutex_unlock(&maker->lock);
}

static void idle(void *context) { (void)context; }

static void await(struct maker *maker, unsigned count) {
    pthread_mutex_lock(&maker->lock);
    while (maker->done < count)
        pthread_cond_wait(&maker->changed, &maker->lock);
    pthread_mutex_unlock(&maker->lock);
}

static void open_maker(struct maker *maker, bool open) {
    pthread_mutex_lock(&maker->lock);
    maker->closed = !open;
    pthread_cond_broadcast(&maker->changed);
    pthread_mutex_unlock(&maker->lock);
}

static struct pages *pages_of(struct maker *maker) {
    *maker = (struct maker){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    return pages_create(&(struct pages_rules){.make = make, .done = done, .idle = idle, .context = maker});
}

static void made_once(void **state) {
    struct maker maker;
    struct pages *pages = pages_of(&maker);
    const struct page_key key = {.process = 1, .kind = 7};
    bool full = true;
    open_maker(&maker, false);
    double since_s = pages_now_s();
    for (int i = 0; i < 100; i++) {
        assert_null(pages_ask(pages, &key, since_s, &full));
        assert_false(full);
    }
    open_maker(&maker, true);
    await(&maker, 1);
    struct page *page = pages_ask(pages, &key, since_s, &full);
    assert_non_null(page);
    assert_memory_equal(page->data, "1 of 7", page->bytes);
    struct page *same = pages_last(pages, &key, 3600, 10);
    assert_ptr_equal(page, same);
    page_put(same);
    page_put(page);
    pages_stop(pages);
    pages_destroy(pages);
    assert_int_equal(maker.made, 1);
}

static void older_than_asked_for(void **state) {
    struct maker maker;
    struct pages *pages = pages_of(&maker);
    const struct page_key key = {.process = 1};
    assert_null(pages_last(pages, &key, 3600, 10)); /* none yet: it is made */
    await(&maker, 1);
    struct page *page = pages_last(pages, &key, 0, 0); /* old already: it is given, and a new one made */
    assert_non_null(page);
    assert_memory_equal(page->data, "1 of 0", 6);
    await(&maker, 2);
    page_put(page);
    page = pages_last(pages, &key, 3600, 10);
    assert_memory_equal(page->data, "2 of 0", 6);
    page_put(page);
    pages_stop(pages);
    pages_destroy(pages);
}

static void bounded(void **state) {
    struct maker maker;
    struct pages *pages = pages_of(&maker);
    bool full = false;
    unsigned asked = 0;
    open_maker(&maker, false);
    for (; !full && asked < 1000; asked++) {
        const struct page_key key = {.process = 1, .top = asked};
        assert_null(pages_ask(pages, &key, pages_now_s(), &full));
    }
    assert_true(full);
    assert_int_equal(asked, PAGES_MOST + PAGES_WAITING_MOST + 1);
    open_maker(&maker, true);
    await(&maker, asked - 1);
    const struct page_key more = {.process = 2};
    assert_null(pages_ask(pages, &more, pages_now_s(), &full));
    assert_false(full); /* an old one gives way */
    await(&maker, asked);
    pages_stop(pages);
    pages_destroy(pages);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(made_once), cmocka_unit_test(older_than_asked_for),
                                       cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
