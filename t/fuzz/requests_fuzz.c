/* requests_fuzz.c - the same for a coverage-guided fuzzer (libFuzzer). */

#include "requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (!ready) {
        requests_setup();
        ready = true;
    }
    if (size > 2) {
        (void)requests_run(data, size);
    }
    return 0;
}
