/* Threads that come and go (2,000, four at a time): blocks outlive their thread, are freed by others,
   nothing is lost or counted twice. */
#include <pthread.h>

#include "expect.h"

enum { WAVES = 500, WIDTH = 4 };

NOINLINE static void *leak_by_thread(void) { return malloc(72); }
NOINLINE static void *handed_over(size_t n) { return malloc(n); }

static void *work(void *argument) {
    size_t number = (size_t)argument;
    void *own[20];
    for (size_t i = 0; i < 20; i++) own[i] = malloc(16 + number % 900 + i);
    for (size_t i = 0; i < 20; i++) free(own[i]);
    if (number % 10 == 0) sink = leak_by_thread();
    return handed_over(100 + number % 50);
}

int main(void) {
    for (size_t wave = 0; wave < WAVES; wave++) {
        pthread_t threads[WIDTH];
        for (size_t i = 0; i < WIDTH; i++)
            CHECK(pthread_create(&threads[i], NULL, work, (void *)(wave * WIDTH + i)) == 0);
        for (size_t i = 0; i < WIDTH; i++) {
            void *block;
            pthread_join(threads[i], &block);
            if (wave != 250) free(block);
        }
    }
    EXPECT_SITE("leak_by_thread", 200, 200 * 72);
    EXPECT("site function=leak_by_thread allocations=200");
    EXPECT_SITE("handed_over", 4, 100 + 101 + 102 + 103); /* numbers 1000..1003: modulo 50 is 0..3 */
    EXPECT("none function=work");
    return 0;
}
