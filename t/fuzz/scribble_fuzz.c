/* scribble_fuzz.c - the same for a coverage-guided fuzzer (libFuzzer). */

#include "scribble.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (!ready) {
        scribble_setup();
        ready = true;
    }
    if (size > 1) {
        (void)scribble_run(data + 1, size - 1, data[0] & 1);
    }
    return 0;
}
