/* See element.h. */
#include "element.h"

#include <stdlib.h>
#include <string.h>

/* One of these is allocated at a time; of all else arrays are. */
static const char *const nodes[] = {"std::_Rb_tree_node<", "std::_List_node<", "std::__detail::_Hash_node<",
                                    "std::_Fwd_list_node<", "std::_Sp_counted_ptr_inplace<",
                                    "std::__1::__tree_node<", "std::__1::__list_node<", "std::__1::__hash_node<"};

static const char *const allocators[] = {"std::__new_allocator<", "__gnu_cxx::new_allocator<", "std::allocator<",
                                         "std::__1::allocator<"};

static const char *after(const char *text, const char *start) {
    size_t length = strlen(start);
    return strncmp(text, start, length) == 0 ? text + length : NULL;
}

/* The end of a template argument that begins there, at the '>' that closes the list; NULL: none does. */
static const char *argument_end(const char *at) {
    int depth = 0;
    for (; *at != 0; at++) {
        if (*at == '<' || *at == '(') depth++;
        else if (*at == '>' && depth == 0) return at;
        else if (*at == '>' || *at == ')') depth--;
        else if (*at == ',' && depth == 0) return NULL; /* several arguments: not what we know */
    }
    return NULL; /* not covered: a name that is cut off */
}

static char *text_of(struct model *model, const char *from, const char *to) {
    while (to > from && to[-1] == ' ') to--;
    bool node = false;
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) node = node || after(from, nodes[i]) != NULL;
    size_t length = (size_t)(to - from);
    if (length == 0) return NULL;
    char *copy = model_alloc(length + sizeof "[]", 1);
    memcpy(copy, from, length);
    if (!node) strcpy(copy + length, "[]");
    char *text = model_text(model, copy);
    free(copy);
    return text;
}

char *element_of(struct model *model, uint32_t index) {
    const struct model_stack *stack = model_stack(model, index);
    const char *function = stack->count > 0 ? stack->frames[0].function : NULL, *from = NULL;
    for (size_t i = 0; function != NULL && from == NULL && i < sizeof allocators / sizeof *allocators; i++)
        from = after(function, allocators[i]);
    const char *to = from != NULL ? argument_end(from) : NULL;
    if (to == NULL || after(to, ">::allocate") == NULL) return NULL;
    return text_of(model, from, to);
}
