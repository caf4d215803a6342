/*
 * Unwind information of any bytes: nothing outside the image is read, and every expression ends. Input: offsets of the
 * program counter and of .eh_frame_hdr in the image, 4 bytes each, and the image. Seeds: the image that the kernel maps
 * into each process, which has code, frames and a table in a few kilobytes.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "cfi.h"
#include "fuzz.h"

enum { HEAD = 8, IMAGE_MOST = 16384 };

/* Memory is what is in the image: all else cannot be read. */
static bool read_image(void *context, uintptr_t at, uintptr_t *value) {
    const struct pp_cfi_range *range = context;
    if (at < range->low || at >= range->high || range->high - at < sizeof *value) return false;
    memcpy(value, (const void *)at, sizeof *value);
    return true;
}

static void evaluate(struct pp_cfi_range *range, uintptr_t pc, int32_t expression) {
    struct pp_cfi_machine machine = {.context = range};
    struct pp_cfi_value result, push = {PP_CFI_NUMBER, (int64_t)range->low};
    for (int i = 0; i < PP_CFI_REGISTERS; i++)
        machine.registers[i] = (struct pp_cfi_value){PP_CFI_NUMBER, (int64_t)range->low + i * 8};
    pp_cfi_evaluate(&machine, range, expression, &push, &result); /* symbolic: reads nothing */
    machine.registers[PP_CFI_RSP] = (struct pp_cfi_value){PP_CFI_SP, 0};
    machine.registers[PP_CFI_RBP] = (struct pp_cfi_value){PP_CFI_BP, 0};
    machine.registers[PP_CFI_RIP] = (struct pp_cfi_value){PP_CFI_NUMBER, (int64_t)pc};
    pp_cfi_evaluate(&machine, range, expression, NULL, &result);
    machine.read = read_image;
    pp_cfi_evaluate(&machine, range, expression, &push, &result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint32_t offsets[2];
    struct pp_cfi_row row;
    if (bytes < HEAD + 8 || bytes > HEAD + IMAGE_MOST) return 0;
    memcpy(offsets, data, HEAD);
    size_t size = bytes - HEAD;
    char *image = malloc(size); /* exactly: what is read behind it is seen */
    if (image == NULL) return 0;
    memcpy(image, data + HEAD, size);
    struct pp_cfi_range range = {(uintptr_t)image, (uintptr_t)image + size};
    uintptr_t pc = range.low + offsets[0];
    if (pp_cfi_find(pc, image + offsets[1] % size, &range, &row)) {
        if (row.cfa_expression) evaluate(&range, pc, row.cfa_value);
        for (int i = 0; i < PP_CFI_REGISTERS; i++)
            if (row.kind[i] == PP_CFI_EXPRESSION || row.kind[i] == PP_CFI_VALUE_EXPRESSION)
                evaluate(&range, pc, row.value[i]);
    }
    evaluate(&range, pc, (int32_t)(offsets[0] % size)); /* any bytes may be an expression */
    free(image);
    return 0;
}

/* Each seed is another program counter: the index-th entry of the table, which is sorted words of 4 and 4 bytes. */
unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (image == NULL || index >= 12) return NULL;
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Phdr *segment = (const void *)(image + header->e_phoff);
    size_t frames = 0, end = 0;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segment[i].p_type == PT_GNU_EH_FRAME) frames = segment[i].p_offset;
        if (segment[i].p_type == PT_LOAD) end = segment[i].p_offset + segment[i].p_filesz;
    }
    if (frames == 0 || end > IMAGE_MOST) return NULL;
    int32_t start;
    memcpy(&start, image + frames + 12 + index * 8, sizeof start);
    uint32_t offsets[2] = {(uint32_t)frames + (uint32_t)start + 1 + (uint32_t)index % 3, (uint32_t)frames};
    unsigned char *seed = malloc(*bytes = HEAD + end);
    if (seed == NULL) return NULL;
    memcpy(seed, offsets, HEAD);
    memcpy(seed + HEAD, image, end);
    return seed;
}
