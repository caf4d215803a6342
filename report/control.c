/* See control.h: the processes, and the dispatcher. The commands are in control_look.c, control_options.c,
   control_act.c, control_leaks.c and control_health.c. */
#include "control.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"
#include "request.h"

#define TICK_NS 100000000 /* between signs of life while a command is waited for */

static char *(*const commands[CONTROL_COUNT])(struct control_call *call) = {
#define PP_CONTROL(name, least, most, arguments, help) control_##name,
#include "control.def"
#undef PP_CONTROL
};

void control_init(struct control *control, struct scanner *scanner) {
    *control = (struct control){.scanner = scanner};
    pthread_mutex_init(&control->lock, NULL);
    pthread_cond_init(&control->released, NULL);
}

void control_fini(struct control *control) { free(control->items); }

void control_add(struct control *control, struct watched *watched) {
    pthread_mutex_lock(&control->lock);
    control->items = model_grow(control->items, control->count, &control->room, sizeof *control->items);
    control->items[control->count++] = watched;
    pthread_mutex_unlock(&control->lock);
}

static void take_out(struct control *control, const struct watched *watched) {
    size_t at = 0;
    while (at < control->count && control->items[at] != watched)
        at++;
    if (at == control->count)
        return; /* not covered: it is taken out once */
    control->count--;
    memmove(control->items + at, control->items + at + 1, (control->count - at) * sizeof *control->items);
}

/* The program may wait for its report meanwhile. */
void control_remove(struct control *control, struct watched *watched) {
    pthread_mutex_lock(&control->lock);
    take_out(control, watched);
    while (watched->users > 0) {
        struct timespec until; /* not covered: a command at work when its process ends */
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&control->released, &control->lock, &until);
        watched_tick(watched);
    }
    pthread_mutex_unlock(&control->lock);
}

/* Who is in the list lives: control_remove takes it out first. */
void control_found(void *context, uint64_t nonce, const struct model *model) {
    struct control *control = context;
    pthread_mutex_lock(&control->lock);
    for (size_t i = 0; i < control->count; i++)
        if (control->items[i]->header->nonce == nonce)
            watched_found(control->items[i], model);
    pthread_mutex_unlock(&control->lock);
}

/* The newest image of that process; of the tree's first one, or what is left of the tree, for 0. */
static struct watched *find(const struct control *control, uint32_t pid) {
    struct watched *found = NULL;
    for (size_t i = 0; i < control->count; i++) {
        struct watched *item = control->items[i];
        if (pid ? (uint32_t)item->pid == pid : !found || (found->is_child && !item->is_child))
            found = item;
    }
    return found;
}

static struct watched *hold(struct control *control, uint32_t pid) {
    pthread_mutex_lock(&control->lock);
    struct watched *watched = find(control, pid);
    if (watched)
        watched->users++;
    pthread_mutex_unlock(&control->lock);
    return watched;
}

void control_release(struct control_call *call) {
    if (!call->watched)
        return;
    pthread_mutex_lock(&call->control->lock);
    call->watched->users--;
    pthread_cond_broadcast(&call->control->released);
    pthread_mutex_unlock(&call->control->lock);
    call->watched = NULL;
}

char *control_execute(struct control *control, const char *text, size_t bytes) {
    struct request request;
    char *reply = request_parse(&request, text, bytes);
    if (reply)
        return reply;
    struct control_call call = {.control = control, .watched = hold(control, request.pid), .request = &request};
    reply = call.watched ? commands[request.id](&call)
                         : reply_error(control_rows[request.id].name, "no_process",
                                       "process %u is not watched here, or has ended", request.pid);
    control_release(&call);
    request_fini(&request);
    return reply;
}
