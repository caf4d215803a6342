/* Requests from anywhere: a good one has a known command and as many arguments as that takes, a refusal is JSON of
   one line with a code. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "request.h"

static void check_good(const struct request *request) {
    if (request->id >= CONTROL_COUNT || request->count < control_rows[request->id].least ||
        request->count > control_rows[request->id].most || request->count > REQUEST_ARGS_MAX)
        abort();
    for (size_t i = 0; i < request->count; i++)
        if (!request->args[i] || strlen(request->args[i]) > REQUEST_BYTES_MAX)
            abort();
}

static void check_refusal(const char *reply) {
    json_t *root = json_loads(reply, 0, NULL);
    if (!root || strchr(reply, '\n') || !json_is_false(json_object_get(root, "ok")) ||
        !json_is_string(json_object_get(json_object_get(root, "error"), "code")))
        abort();
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct request request;
    char *text = malloc(bytes + 1);
    if (!text)
        return 0;
    memcpy(text, data, bytes); /* a copy of just the size: reading beyond it shows */
    char *reply = request_parse(&request, text, bytes);
    if (reply)
        check_refusal(reply);
    else
        check_good(&request);
    request_fini(&request);
    free(reply);
    free(text);
    return 0;
}

unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    static const char *const seeds[] = {"{\"command\": \"set\", \"args\": [\"MEM_WARN\", \"50M\"], \"pid\": 4711}",
                                        "{\"command\": \"report\", \"args\": [20]}", "{\"command\":\"status\"}\n",
                                        "{\"args\": [1, -2, 3.5, null, {}], \"command\": \"get\"}", "{\"command\": \"\\u00e4\\ud800\"}"};
    if (index >= sizeof seeds / sizeof *seeds)
        return NULL;
    *bytes = strlen(seeds[index]);
    return (unsigned char *)strdup(seeds[index]);
}
