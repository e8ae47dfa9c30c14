/* kv_number_test.c - canonical decimals. */

#include "kvt.h"

#include "kv_number.h"

static const struct {
    const char *text;
    int64_t number;
} canonical[] = {
    { "0", 0 },
    { "7", 7 },
    { "-1", -1 },
    { "10", 10 },
    { "-10", -10 },
    { "1234567890", 1234567890 },
    { "999999999999999999", 999999999999999999 },
    { "1000000000000000000", 1000000000000000000 },
    { "9223372036854775806", INT64_MAX - 1 },
    { "9223372036854775807", INT64_MAX },
    { "-9223372036854775807", -INT64_MAX },
    { "-9223372036854775808", INT64_MIN },
};

static const char *const refused[] = {
    "", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1.0", "1e3", "0x10",
    "--1", "1-", "a", "1a", "9223372036854775808", "-9223372036854775809",
    "9999999999999999999", "-9999999999999999999", "18446744073709551616",
    "18446744073709551617", "92233720368547758070", "-92233720368547758080",
    "100000000000000000000000000000", "\xd9\xa1",
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

START_TEST(canonical_text_is_parsed)
{
    int64_t number = 42;
    ck_assert(kv_number_parse(canonical[_i].text, strlen(canonical[_i].text),
                              &number));
    ck_assert_int_eq(number, canonical[_i].number);
}
END_TEST

START_TEST(numbers_are_formatted_canonically)
{
    char text[KV_NUMBER_MAX_DIGITS + 1];
    memset(text, '#', sizeof(text));
    uint32_t bytes = kv_number_format(canonical[_i].number, text);
    ck_assert_uint_eq(bytes, strlen(canonical[_i].text));
    ck_assert_mem_eq(text, canonical[_i].text, bytes);
    ck_assert_int_eq(text[bytes], '#');
}
END_TEST

START_TEST(other_text_is_refused)
{
    int64_t number = 42;
    ck_assert_msg(!kv_number_parse(refused[_i], strlen(refused[_i]), &number),
                  "\"%s\" was taken for %lld", refused[_i],
                  (long long)number);
    ck_assert_int_eq(number, 42);
}
END_TEST

START_TEST(a_zero_byte_is_no_digit)
{
    int64_t number;
    ck_assert(!kv_number_parse("1\0", 2, &number));
    ck_assert(!kv_number_parse("\0001", 2, &number));
    ck_assert(!kv_number_parse("\0", 1, &number));
}
END_TEST

START_TEST(every_format_parses_back)
{
    kvt_random_t random = { 1 };
    for (int i = 0; i < 100000; i++) {
        int64_t number = (int64_t)kvt_random(&random) >> kvt_below(&random, 64);
        int64_t back;
        char text[KV_NUMBER_MAX_DIGITS];
        uint32_t bytes = kv_number_format(number, text);
        kvt_assert(bytes <= KV_NUMBER_MAX_DIGITS);
        kvt_assert(kv_number_parse(text, bytes, &back));
        kvt_assert(back == number);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_number");
    TCase *tcase = kvt_case(suite, "kv_number");
    tcase_add_loop_test(tcase, canonical_text_is_parsed, 0, COUNT(canonical));
    tcase_add_loop_test(tcase, numbers_are_formatted_canonically, 0,
                        COUNT(canonical));
    tcase_add_loop_test(tcase, other_text_is_refused, 0, COUNT(refused));
    tcase_add_test(tcase, a_zero_byte_is_no_digit);
    tcase_add_test(tcase, every_format_parses_back);
    return kvt_run(suite);
}
