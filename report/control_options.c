/* Commands get and set: options.def's rows, by the environment's own parser. See control.h. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "control.h"
#include "json.h"
#include "request.h"

/* In base units: bytes, seconds, numbers; words as words. */
static json_t *value_of(const struct pp_options *options, const struct pp_option *row) {
    char words[PP_OPTION_TEXT_BYTES];
    const char *field = (const char *)options + row->offset;
    int64_t number = row->type < PP_TYPE_BUDGETS ? atomic_load((const _Atomic int64_t *)(const void *)field) : -1;
    switch (row->type) {
    case PP_TYPE_FLAG:
    case PP_TYPE_COUNT:
    case PP_TYPE_PERCENT:
    case PP_TYPE_BYTES:
        if (number >= 0)
            return json_integer(number);
        break;
    case PP_TYPE_TIME:
        if (number >= 0)
            return json_real((double)number / 1e9);
        break;
    default:
        break;
    }
    pp_config_show(options, row, words, sizeof words);
    return json_text(words);
}

static const struct pp_option *find(const struct control_call *call, char **refusal) {
    const char *name = call->request->args[0];
    const struct pp_option *row = pp_config_find(name);
    *refusal = row ? NULL
                   : reply_error(control_rows[call->request->id].name, "unknown_option",
                                 "'%.60s' is no option; `poolprof options` lists them (without POOLPROF_)", name);
    return row;
}

char *control_get(struct control_call *call) {
    char *refusal;
    const struct pp_option *row = find(call, &refusal);
    if (!row)
        return refusal;
    const struct pp_options *options = &call->watched->header->options;
    return reply_data(call->request->id, json_pack("{s:s, s:o, s:b}", "name", row->name, "value",
                                                   value_of(options, row), "live", row->live));
}

char *control_set(struct control_call *call) {
    char *refusal, why[320];
    const struct pp_option *row = find(call, &refusal);
    struct watched *watched = call->watched;
    struct pp_options *options = &watched->header->options;
    if (!row)
        return refusal;
    if (!row->live)
        return reply_error("set", "not_live", "%s is read when the program starts, and not again", row->name);
    pthread_mutex_lock(&watched->lock);
    json_t *was = value_of(options, row);
    bool good = pp_config_set(options, row, call->request->args[1], why, sizeof why);
    if (good) {
        watched_call(watched, PP_CALL_OPTIONS);
        watched_log(watched, PP_LOG_INFO, "info control: %s is now %s", row->name, call->request->args[1]);
    }
    pthread_mutex_unlock(&watched->lock);
    if (!good) {
        json_decref(was);
        return reply_error("set", "bad_value", "%s", why);
    }
    watched_hurry(watched);
    return reply_data(call->request->id, json_pack("{s:s, s:o, s:o}", "name", row->name, "value",
                                                   value_of(options, row), "was", was));
}
