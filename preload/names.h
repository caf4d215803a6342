/* What every exported function needs: where its caller's stack starts. preload/ is compiled with frame
   pointers and without sibling calls, so the frame address stays valid while the heap unwinds. */
#ifndef PP_NAMES_H
#define PP_NAMES_H

#include "heap.h"

#define PP_ALIGNMENT_LEAST ((size_t)16)
#define PP_FRAME() __builtin_frame_address(0)

#endif
