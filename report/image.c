/* See image.h. */
#include "image.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

static int open_regular(const char *root, const char *path) {
    struct stat status;
    char *full;
    if (asprintf(&full, "%s%s", root, path) < 0) return -1;
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    free(full);
    if (fd < 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))) return fd;
    close(fd); /* not covered: no file any more, but a folder of that name */
    return -1;
}

/* The mapping of a file that it belongs to: itself, or the one right before it. NULL: none that a loader makes. */
static const struct mapping *of_file(const struct maps *maps, const struct mapping *mapping) {
    const struct mapping *before = mapping > maps->items ? mapping - 1 : mapping;
    if (mapping->path[0] == 0 && before->end == mapping->start) mapping = before;
    return mapping->path[0] == '/' && (mapping->flags & (MAPS_SHARED | MAPS_DEVICE)) == 0 ? mapping : NULL;
}

/* Where all of it lies, if the mapping is one of its writable segments. */
static bool place(Elf *elf, const struct mapping *mapping, struct model_module *to) {
    uint64_t low = UINT64_MAX, high = 0;
    size_t count;
    bool found = false;
    GElf_Phdr part;
    if (elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &count) != 0) return false;
    for (size_t i = 0; i < count && i < INT32_MAX && gelf_getphdr(elf, (int)i, &part) != NULL; i++) {
        if (part.p_type != PT_LOAD) continue;
        uint64_t offset = part.p_offset & ~(PAGE - 1), address = part.p_vaddr & ~(PAGE - 1);
        if (address < low) low = address;
        if (part.p_vaddr + part.p_memsz > high) high = part.p_vaddr + part.p_memsz;
        if ((part.p_flags & PF_W) == 0 || mapping->offset < offset || mapping->offset >= part.p_offset + part.p_filesz)
            continue;
        to->bias = mapping->start - (mapping->offset - offset) - address;
        found = true;
    }
    to->start = to->bias + low;
    to->end = to->bias + high;
    return found && to->start < to->end;
}

static void read_build_id(Elf *elf, struct model_module *to) {
    const void *bits;
    ssize_t bytes = dwelf_elf_gnu_build_id(elf, &bits);
    if (bytes <= 0 || (size_t)bytes > sizeof to->build_id) return;
    memcpy(to->build_id, bits, (size_t)bytes);
    to->build_id_bytes = (unsigned)bytes;
}

uint32_t image_add(struct model *model, const struct maps *maps, const struct mapping *mapping, uint64_t address,
                   const char *root) {
    const struct mapping *file = of_file(maps, mapping);
    struct model_module module = {0};
    int fd = -1;
    if (file == NULL) return 0;
    if (root != NULL) fd = open_regular(root, file->path);
    if (fd < 0) fd = open_regular("", file->path);
    if (fd < 0) return 0;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool found = place(elf, file, &module) && address >= module.start && address < module.end;
    if (found) read_build_id(elf, &module);
    elf_end(elf);
    close(fd);
    if (!found) return 0;
    model_set(&module.path, file->path);
    return model_add_module(model, module);
}
