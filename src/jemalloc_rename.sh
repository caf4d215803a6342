#!/bin/sh
# jemalloc_rename.sh IN.a OUT.a: see jemalloc.cmake.
set -eu
in=$1 out=$2 map=$2.map
cp "$in" "$out" && chmod u+w "$out"
ar d "$out" jemalloc_cpp.pic.o
# Public names get our prefix; je_* are private already and become local through the version script.
nm -g --defined-only "$out" 2>/dev/null | awk 'NF == 3 && $3 !~ /^je_/ {print $3}' | sort -u |
    while read -r name; do echo "$name ppje_$name"; done > "$map"
# Names taken from outside that must not reach the host or draw in libraries.
for name in secure_getenv readlink atexit log exp round dlsym _Unwind_Backtrace _Unwind_GetIP \
    mmap munmap madvise syscall pthread_atfork clock_gettime \
    pthread_cond_init pthread_cond_signal pthread_cond_timedwait pthread_cond_wait pthread_create pthread_join; do
    echo "$name pp_stub_$name"
done >> "$map"
# Without its constructor it starts with the first block that is asked of it, in many small programs never.
objcopy --redefine-syms="$map" --remove-section=.init_array --remove-section=.rela.init_array "$out"
ranlib "$out"
