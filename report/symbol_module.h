/* One module's addresses; shared by symbol.c (who asks) and symbol_module.c (libdw), private to
 * them. */
#ifndef REPORT_SYMBOL_MODULE_H
#define REPORT_SYMBOL_MODULE_H

#include <stdatomic.h>

#include "symbol.h"

/* A distinct (module, address) and what it turned out to be. */
struct symbol_place {
    uint64_t address;
    uint32_t module;
    uint32_t frame;              /* of the model's tree */
    uint32_t count;             /* of frames; 0: nothing is known */
    struct model_frame *frames; /* innermost first; malloc'ed */
};

enum symbol_outcome { SYMBOL_READ, SYMBOL_NO_FILE, SYMBOL_OTHER_BUILD, SYMBOL_UNREADABLE };

/* `places` are one module's, sorted by address. Fills what it can find and returns how the module's
   file was. `done` is counted up by one for each place. Names go to the model's texts. `kept`, if not
   NULL, is the module's file as a former call left it open, or NULL, and is left likewise. */
struct symbol_file;
enum symbol_outcome symbol_module_resolve(struct model *model, uint32_t module,
                                          struct symbol_place *places, size_t count,
                                          const struct symbol_options *options, struct symbol_file **kept,
                                          _Atomic size_t *done);
void symbol_file_close(struct symbol_file *file);

#endif
