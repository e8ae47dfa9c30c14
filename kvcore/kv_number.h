/* kv_number.h - canonical signed 64-bit decimals: no sign but a minus, no
 * leading zero, no space, "-0" excluded. */

#ifndef KV_NUMBER_H
#define KV_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KV_NUMBER_MAX_DIGITS 20u

/** Write `number` to `text` (KV_NUMBER_MAX_DIGITS bytes, no NUL).
 * @return the bytes written */
static inline uint32_t kv_number_format(int64_t number, char *text)
{
    char buffer[KV_NUMBER_MAX_DIGITS];
    char *at = buffer + sizeof(buffer);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0) {
        *--at = '-';
    }
    uint32_t bytes = (uint32_t)(buffer + sizeof(buffer) - at);
    memcpy(text, at, bytes);
    return bytes;
}

/** @return false: not a canonical decimal, or out of range */
static inline bool kv_number_parse(const char *text, size_t bytes,
                                   int64_t *number)
{
    bool negative = bytes > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t sum = 0;

    if (at == bytes || bytes > KV_NUMBER_MAX_DIGITS) {
        return false;
    }
    if (text[at] == '0' && (negative || bytes > 1)) {
        return false;
    }
    for (; at < bytes; at++) {
        unsigned digit = (unsigned)((unsigned char)text[at] - '0');
        if (digit > 9 || sum > (limit - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *number = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

#endif
