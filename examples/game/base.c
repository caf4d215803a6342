/*
 * What every part of the game needs: random numbers that depend on the seed alone, allocation that
 * gives up instead of failing, formatted text of exactly the needed size.
 */
#include "game.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* xorshift64*: good enough for a game, the same on every machine. */
uint32_t random_next(struct random *random)
{
    uint64_t x = random->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return (uint32_t)(x * 0x2545f4914f6cdd1dULL >> 32);
}

int random_below(struct random *random, int bound)
{
    return (int)((uint64_t)random_next(random) * (uint32_t)bound >> 32);
}

void *must_alloc(size_t size)
{
    void *block = malloc(size);

    if (!block) {
        fputs("game: out of memory\n", stderr);
        abort();
    }
    return block;
}

void *must_realloc(void *block, size_t size)
{
    void *moved = realloc(block, size);

    if (!moved) {
        fputs("game: out of memory\n", stderr);
        abort();
    }
    return moved;
}

char *text_format(const char *format, ...)
{
    va_list arguments;
    char *text;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = must_alloc((size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}
