/* Deep stacks: 60 nested functions are all there, in order; beyond the limit a stack says "truncated". */
#include "expect.h"

/* Not a tail call: the callee's result is used after it returns. */
#define STEP(this, next)                \
    NOINLINE static void *this(void) {  \
        void *block = next();           \
        sink = block;                   \
        return block;                   \
    }

NOINLINE static void *level_60(void) { return malloc(60); }
STEP(level_59, level_60) STEP(level_58, level_59)
STEP(level_57, level_58) STEP(level_56, level_57) STEP(level_55, level_56)
STEP(level_54, level_55) STEP(level_53, level_54) STEP(level_52, level_53)
STEP(level_51, level_52) STEP(level_50, level_51) STEP(level_49, level_50)
STEP(level_48, level_49) STEP(level_47, level_48) STEP(level_46, level_47)
STEP(level_45, level_46) STEP(level_44, level_45) STEP(level_43, level_44)
STEP(level_42, level_43) STEP(level_41, level_42) STEP(level_40, level_41)
STEP(level_39, level_40) STEP(level_38, level_39) STEP(level_37, level_38)
STEP(level_36, level_37) STEP(level_35, level_36) STEP(level_34, level_35)
STEP(level_33, level_34) STEP(level_32, level_33) STEP(level_31, level_32)
STEP(level_30, level_31) STEP(level_29, level_30) STEP(level_28, level_29)
STEP(level_27, level_28) STEP(level_26, level_27) STEP(level_25, level_26)
STEP(level_24, level_25) STEP(level_23, level_24) STEP(level_22, level_23)
STEP(level_21, level_22) STEP(level_20, level_21) STEP(level_19, level_20)
STEP(level_18, level_19) STEP(level_17, level_18) STEP(level_16, level_17)
STEP(level_15, level_16) STEP(level_14, level_15) STEP(level_13, level_14)
STEP(level_12, level_13) STEP(level_11, level_12) STEP(level_10, level_11)
STEP(level_09, level_10) STEP(level_08, level_09) STEP(level_07, level_08)
STEP(level_06, level_07) STEP(level_05, level_06) STEP(level_04, level_05)
STEP(level_03, level_04) STEP(level_02, level_03) STEP(level_01, level_02)

NOINLINE static void *recurse(int depth) {
    void *block = depth ? recurse(depth - 1) : malloc(1234);
    sink = block;
    return block;
}

int main(void) {
    char names[2048];
    size_t length = 0;
    for (int i = 60; i >= 1; i--)
        length += (size_t)snprintf(names + length, sizeof names - length, "level_%02d,", i);
    for (int i = 0; i < 3; i++) sink = level_01();
    sink = recurse(1000);
    EXPECT_SITE("level_60", 3, 180);
    EXPECT("stack function=level_60 names=%smain", names);
    EXPECT("site function=level_60 truncated=0 objects=3");
    EXPECT("site function=recurse truncated=1 objects=1 bytes=1234 frames=128");
    return 0;
}
