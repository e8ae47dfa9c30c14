/* snapshot_test.c - a request as bytes: written, read, and read by whoever
 * must not believe it.
 */

#include "kvt.h"
#include "runt.h"

#include "ephpm_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define AREA EPHPM_REQUEST_BYTES

static char folder[100];
static char area[AREA];
static ephpm_snapshot_writer_t writer;
static ephpm_snapshot_t snapshot;

static void set_up(void)
{
    snprintf(folder, sizeof(folder), "%s/snapshot.XXXXXX",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_ne(mkdtemp(folder), NULL);
    memset(area, 0xee, sizeof(area));
}

static char *in_folder(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static bool is_there(const char *name)
{
    struct stat status;
    return lstat(in_folder(name), &status) == 0;
}

static void tear_down(void)
{
    ephpm_snapshot_discard(&writer);
    ephpm_snapshot_clear(&snapshot);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing is left */
}

static void begin_in(size_t room)
{
    ephpm_snapshot_begin(&writer, area, room, folder, "more");
}

static void begin(void)
{
    begin_in(sizeof(area));
}

static void end(void)
{
    ck_assert_int_eq(ephpm_snapshot_end(&writer), 0);
    ck_assert_uint_le(writer.bytes, writer.room);
}

/* As a runner does it: from a private copy of just the length. */
static char *copy;

static const char *read_back(void)
{
    free(copy);
    copy = malloc(writer.bytes + 1);
    memcpy(copy, area, writer.bytes);
    char *exact = realloc(copy, writer.bytes == 0 ? 1 : writer.bytes);
    copy = exact != NULL ? exact : copy;
    return ephpm_snapshot_read(&snapshot, copy, writer.bytes);
}

static void assert_reads(void)
{
    const char *wrong = read_back();
    ck_assert_msg(wrong == NULL, "%s", wrong);
}

/* ------------------------------------------------------------------ */

START_TEST(what_is_written_is_read)
{
    begin();
    ephpm_snapshot_text(&writer, EPHPM_ITEM_METHOD, "POST");
    ephpm_snapshot_text(&writer, EPHPM_ITEM_URI, "/a/b");
    ephpm_snapshot_text(&writer, EPHPM_ITEM_QUERY, "");
    ephpm_snapshot_text(&writer, EPHPM_ITEM_COOKIES, NULL);
    ephpm_snapshot_text_n(&writer, EPHPM_ITEM_SCRIPT, "/srv/a.phpX", 10);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_CONTENT_LENGTH, INT64_MAX);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_STATUS, INT64_MIN);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_BODY_BYTES, 1);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_STORE, 0);
    ephpm_snapshot_pair(&writer, EPHPM_ITEM_VARIABLE, "A", "1");
    ephpm_snapshot_pair(&writer, EPHPM_ITEM_HEADER, "Host", "");
    ephpm_snapshot_pair(&writer, EPHPM_ITEM_HEADER, "", "x");
    ephpm_snapshot_pair_n(&writer, EPHPM_ITEM_VARIABLE, "AB", 1, "22", 1);
    memcpy(ephpm_snapshot_body(&writer, 5), "b\0d\0y", 5);
    end();
    ck_assert_int_eq(writer.file, -1);
    assert_reads();
    ck_assert_str_eq(snapshot.texts[EPHPM_ITEM_METHOD], "POST");
    ck_assert_str_eq(snapshot.texts[EPHPM_ITEM_URI], "/a/b");
    ck_assert_str_eq(snapshot.texts[EPHPM_ITEM_QUERY], "");
    ck_assert_ptr_eq(snapshot.texts[EPHPM_ITEM_COOKIES], NULL);
    ck_assert_str_eq(snapshot.texts[EPHPM_ITEM_SCRIPT], "/srv/a.php");
    ck_assert_int_eq(
        ephpm_snapshot_get(&snapshot, EPHPM_ITEM_CONTENT_LENGTH), INT64_MAX);
    ck_assert_int_eq(ephpm_snapshot_get(&snapshot, EPHPM_ITEM_STATUS),
                     INT64_MIN);
    ck_assert_int_eq(ephpm_snapshot_get(&snapshot, EPHPM_ITEM_BODY_BYTES), 1);
    ck_assert_int_eq(ephpm_snapshot_get(&snapshot, EPHPM_ITEM_STORE), 0);
    ck_assert_int_eq(ephpm_snapshot_get(&snapshot, EPHPM_ITEM_METHOD), 0);
    ck_assert_int_eq(ephpm_snapshot_get(&snapshot, EPHPM_ITEM_LAST), 0);
    ck_assert_uint_eq(snapshot.pair_count, 4);
    static const ephpm_pair_t pairs[] = {
        { EPHPM_ITEM_VARIABLE, "A", "1" }, { EPHPM_ITEM_HEADER, "Host", "" },
        { EPHPM_ITEM_HEADER, "", "x" }, { EPHPM_ITEM_VARIABLE, "A", "2" },
    };
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(snapshot.pairs[i].kind, pairs[i].kind);
        ck_assert_str_eq(snapshot.pairs[i].name, pairs[i].name);
        ck_assert_str_eq(snapshot.pairs[i].value, pairs[i].value);
    }
    ck_assert_uint_eq(snapshot.body_bytes, 5);
    ck_assert_mem_eq(snapshot.body, "b\0d\0y", 5);
    /* The next one has nothing of it. */
    begin();
    end();
    assert_reads();
    ck_assert_ptr_eq(snapshot.texts[EPHPM_ITEM_METHOD], NULL);
    ck_assert_int_eq(ephpm_snapshot_get(&snapshot, EPHPM_ITEM_STATUS), 0);
    ck_assert_uint_eq(snapshot.pair_count, 0);
    ck_assert_ptr_eq(snapshot.body, NULL);
    ck_assert_uint_eq(snapshot.body_bytes, 0);
}
END_TEST

START_TEST(settings_travel_with_where_they_are_written)
{
    static const ephpm_setting_t settings[] = {
        { "memory_limit", "8M", true, false, NULL, 0 },
        { "display_errors", "", false, false, "/etc/a.conf", 12 },
        { "a", "1", false, true, "/etc/a.conf", 12 },
        { "open_basedir", "/srv:/tmp", true, true, "/etc/a.conf", 13 },
        { "b", "2", false, false, "/b/.htaccess", 13 },
        { "c", "3", false, false, NULL, 0 },
    };
    ephpm_setting_t got = { 0 };
    size_t at = 0;
    begin();
    for (size_t i = 0; i < 6; i++) {
        ephpm_snapshot_setting(&writer, &settings[i]);
        ephpm_snapshot_pair(&writer, EPHPM_ITEM_NOTE, "between", "them");
    }
    end();
    assert_reads();
    for (size_t i = 0; i < 6; i++) {
        ck_assert(ephpm_snapshot_setting_next(&snapshot, &at, &got));
        ck_assert_str_eq(got.name, settings[i].name);
        ck_assert_str_eq(got.value, settings[i].value);
        ck_assert_int_eq(got.admin, settings[i].admin);
        ck_assert_int_eq(got.htaccess, settings[i].htaccess);
        ck_assert_int_eq(got.line, settings[i].line);
        ck_assert_pstr_eq(got.file, settings[i].file);
    }
    ck_assert(!ephpm_snapshot_setting_next(&snapshot, &at, &got));
    ck_assert(!ephpm_snapshot_setting_next(&snapshot, &at, &got));
}
END_TEST

START_TEST(what_cannot_be_written_is_an_error_once)
{
    static char long_name[400];
    const ephpm_setting_t setting = { .name = long_name, .value = "1" };
    memset(long_name, 'n', sizeof(long_name) - 1);
    for (int i = 0; i < 7; i++) {
        static const int errors[] = { EILSEQ, EILSEQ, EINVAL, EINVAL, EINVAL,
                                      ENAMETOOLONG, EFBIG };
        begin();
        switch (i) {
        case 0:
            ephpm_snapshot_text_n(&writer, EPHPM_ITEM_URI, "a\0b", 3);
            break;
        case 1:
            ephpm_snapshot_pair_n(&writer, EPHPM_ITEM_NOTE, "a", 1, "\0", 1);
            break;
        case 2:
            ephpm_snapshot_text(&writer, EPHPM_ITEM_STATUS, "a");
            break;
        case 3:
            ephpm_snapshot_number(&writer, EPHPM_ITEM_NOTE, 1);
            break;
        case 4:
            ephpm_snapshot_pair(&writer, EPHPM_ITEM_BODY, "a", "b");
            break;
        case 5:
            ephpm_snapshot_setting(&writer, &setting);
            break;
        default:
            ck_assert_ptr_eq(
                ephpm_snapshot_body(&writer, EPHPM_SNAPSHOT_BODY_MAX + 1),
                NULL);
        }
        ephpm_snapshot_text(&writer, EPHPM_ITEM_METHOD, "GET");
        ck_assert_ptr_eq(ephpm_snapshot_body(&writer, 1), NULL);
        ck_assert_int_eq(ephpm_snapshot_end(&writer), errors[i]);
        ephpm_snapshot_discard(&writer);
    }
    begin();
    ck_assert_ptr_ne(ephpm_snapshot_body(&writer, AREA), NULL);
    ck_assert_ptr_eq(ephpm_snapshot_body(&writer, AREA), NULL);
    ck_assert_int_eq(ephpm_snapshot_end(&writer), EINVAL);
    begin_in(20);
    ck_assert_int_eq(ephpm_snapshot_end(&writer), ENAMETOOLONG);
    ck_assert(!is_there("more"));
}
END_TEST

/* ------------------------------------------------------------------ */
/* More than the area holds                                            */

START_TEST(what_does_not_fit_goes_to_a_file_that_the_reader_removes)
{
    char value[3000];
    struct stat status;
    begin();
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 40; i++) {
        char name[20];
        snprintf(name, sizeof(name), "N%d", i);
        ephpm_snapshot_pair(&writer, EPHPM_ITEM_VARIABLE, name, value);
    }
    ephpm_snapshot_text(&writer, EPHPM_ITEM_METHOD, "GET");
    memcpy(ephpm_snapshot_body(&writer, 4), "body", 4);
    ck_assert_ptr_eq(writer.body, NULL); /* it still fits the area */
    end();
    ck_assert_str_eq(writer.file_path, in_folder("more"));
    ck_assert_int_eq(lstat(in_folder("more"), &status), 0);
    ck_assert(S_ISREG(status.st_mode));
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    assert_reads();
    ck_assert(!is_there("more"));
    ck_assert_uint_eq(snapshot.pair_count, 40);
    for (int i = 0; i < 40; i++) {
        char name[20];
        snprintf(name, sizeof(name), "N%d", i);
        ck_assert_str_eq(snapshot.pairs[i].name, name);
        ck_assert_str_eq(snapshot.pairs[i].value, value);
    }
    ck_assert_str_eq(snapshot.texts[EPHPM_ITEM_METHOD], "GET");
    ck_assert_mem_eq(snapshot.body, "body", 4);
}
END_TEST

START_TEST(a_body_that_does_not_fit_goes_to_the_file)
{
    enum { BYTES = 3000001 };
    begin();
    ephpm_snapshot_text(&writer, EPHPM_ITEM_METHOD, "POST");
    char *body = ephpm_snapshot_body(&writer, BYTES);
    ck_assert_ptr_ne(body, NULL);
    runt_fill(body, BYTES, 3, 0);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_URI, "/after");
    end();
    assert_reads();
    ck_assert_uint_eq(snapshot.body_bytes, BYTES);
    ck_assert(runt_filled(snapshot.body, BYTES, 3, 0));
    ck_assert_str_eq(snapshot.texts[EPHPM_ITEM_URI], "/after");
}
END_TEST

START_TEST(the_room_that_is_said_is_there)
{
    for (size_t room = 60; room < 400; room++) {
        begin_in(room);
        ephpm_snapshot_text(&writer, EPHPM_ITEM_METHOD, "GET");
        size_t fits = ephpm_snapshot_room(&writer);
        if (writer.file_path == NULL && writer.error == 0) {
            char *body = ephpm_snapshot_body(&writer, fits);
            kvt_assert(body >= area && body + fits <= area + room);
            memset(body, 'b', fits);
            /* And no byte more; the file's name always has its place. */
            ephpm_snapshot_text(&writer, EPHPM_ITEM_URI, "/");
            end();
            kvt_assert(writer.file_path != NULL);
            kvt_assert(read_back() == NULL);
            kvt_assert(snapshot.body_bytes == fits);
            kvt_assert(strcmp(snapshot.texts[EPHPM_ITEM_URI], "/") == 0);
        } else {
            (void)ephpm_snapshot_end(&writer);
        }
        ephpm_snapshot_discard(&writer);
    }
    for (size_t bytes = AREA - 400; bytes <= AREA; bytes++) {
        begin();
        char *body = ephpm_snapshot_body(&writer, bytes);
        memset(body, 'b', bytes);
        end();
        kvt_assert(read_back() == NULL);
        kvt_assert(snapshot.body_bytes == bytes);
        ephpm_snapshot_discard(&writer);
    }
}
END_TEST

static void overflow(void)
{
    memset(ephpm_snapshot_body(&writer, 2 * AREA), 'b', 2 * AREA);
}

START_TEST(a_file_is_removed_when_the_job_is_not_taken)
{
    begin();
    overflow();
    end();
    ck_assert(is_there("more"));
    ephpm_snapshot_discard(&writer);
    ck_assert(!is_there("more"));
    ephpm_snapshot_discard(&writer);
    begin();
    overflow(); /* and not ended */
    ephpm_snapshot_discard(&writer);
    ck_assert(!is_there("more"));
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_leaves_no_file)
{
    struct rlimit limit = { 5000, 5000 };
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    begin();
    overflow();
    ck_assert_int_eq(ephpm_snapshot_end(&writer), EFBIG);
    ck_assert(!is_there("more"));
    /* Amid the pairs, too. */
    char value[3000] = { 0 };
    memset(value, 'v', sizeof(value) - 1);
    begin();
    for (int i = 0; i < 40; i++) {
        ephpm_snapshot_pair(&writer, EPHPM_ITEM_VARIABLE, "N", value);
    }
    ck_assert_int_eq(ephpm_snapshot_end(&writer), EFBIG);
    ck_assert(!is_there("more"));
}
END_TEST

START_TEST(nothing_that_stands_in_the_files_place_is_touched)
{
    /* A symbolic link, to where a file would be made or spoilt. */
    char from[200];
    snprintf(from, sizeof(from), "%s", in_folder("more"));
    ck_assert_int_eq(symlink(in_folder("target"), from), 0);
    begin();
    overflow();
    ck_assert_int_eq(ephpm_snapshot_end(&writer), EEXIST);
    ck_assert(is_there("more"));
    ck_assert(!is_there("target"));
    ck_assert_int_eq(unlink(from), 0);
    /* A file. */
    close(open(from, O_CREAT | O_WRONLY, 0600));
    begin();
    overflow();
    ck_assert_int_eq(ephpm_snapshot_end(&writer), EEXIST);
    ck_assert(is_there("more"));
    ck_assert_int_eq(unlink(from), 0);
    /* No folder. */
    ephpm_snapshot_begin(&writer, area, AREA, in_folder("none"), "more");
    overflow();
    ck_assert_int_eq(ephpm_snapshot_end(&writer), ENOENT);
}
END_TEST

/* ------------------------------------------------------------------ */
/* A reader that must not believe                                      */

static void write_overflow(void)
{
    begin();
    overflow();
    end();
    ck_assert(is_there("more"));
}

static void assert_refused(const char *what)
{
    const char *wrong = read_back();
    ck_assert_ptr_ne(wrong, NULL);
    ck_assert_msg(strstr(wrong, what) != NULL, "\"%s\", without \"%s\"",
                  wrong, what);
}

START_TEST(a_file_that_is_missing_is_said_to_be)
{
    write_overflow();
    ck_assert_int_eq(unlink(in_folder("more")), 0);
    assert_refused("not there");
}
END_TEST

START_TEST(a_file_that_is_another_is_neither_read_nor_removed)
{
    char path[200];
    char other[200];
    snprintf(path, sizeof(path), "%s", in_folder("more"));
    snprintf(other, sizeof(other), "%s", in_folder("other"));
    write_overflow();
    ck_assert_int_eq(rename(path, other), 0);
    ck_assert_int_eq(symlink(other, path), 0);
    assert_refused("symbolic link");
    ck_assert(is_there("more"));
    ck_assert_int_eq(unlink(path), 0);
    /* By a second name. */
    ck_assert_int_eq(link(other, path), 0);
    assert_refused("not the submitter's");
    ck_assert(is_there("more"));
    ck_assert_int_eq(unlink(path), 0);
    /* A pipe: it is not waited for. */
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_refused("not the submitter's");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    assert_refused("not the submitter's");
    ck_assert_int_eq(rmdir(path), 0);
    /* Larger than any. */
    ck_assert_int_eq(rename(other, path), 0);
    ck_assert_int_eq(truncate(path, (off_t)1 << 40), 0);
    assert_refused("not the submitter's");
    ck_assert_int_eq(truncate(path, 1000), 0);
    assert_refused("cut short");
    ck_assert(!is_there("more"));
}
END_TEST

START_TEST(a_file_names_no_other_file)
{
    write_overflow();
    int file = open(in_folder("more"), O_WRONLY | O_APPEND);
    /* The item in the area is one that would do. */
    ck_assert_int_eq(write(file, area, writer.bytes),
                     (ssize_t)writer.bytes);
    close(file);
    assert_refused("names another");
}
END_TEST

START_TEST(a_request_that_is_cut_short_anywhere_is_refused)
{
    begin();
    ephpm_snapshot_text(&writer, EPHPM_ITEM_METHOD, "POST");
    ephpm_snapshot_number(&writer, EPHPM_ITEM_STATUS, 200);
    ephpm_snapshot_pair(&writer, EPHPM_ITEM_VARIABLE, "NAME", "value");
    memcpy(ephpm_snapshot_body(&writer, 9), "some body", 9);
    end();
    size_t all = writer.bytes;
    for (writer.bytes = 0; writer.bytes <= all; writer.bytes++) {
        bool whole = writer.bytes == 0 || writer.bytes == 16 ||
                     writer.bytes == 32 || writer.bytes == 52 ||
                     writer.bytes == all;
        kvt_assert_msg((read_back() == NULL) == whole, "%zu bytes",
                       writer.bytes);
    }
    writer.bytes = 0;
}
END_TEST

START_TEST(items_that_no_writer_makes_are_refused)
{
    static const struct {
        const char *bytes;
        size_t count;
    } wrong[] = {
#define ITEM(kind, length, data) \
    { kind "\0\0\0" length "\0\0\0" data, 8 + sizeof(data) - 1 }
        ITEM("\0", "\0", ""),            /* no such kind */
        ITEM("\37", "\1", "\0\0\0\0"),   /* the last of texts */
        ITEM("\77", "\10", "12345678"),
        ITEM("\137", "\4", "a\0b\0"),
        ITEM("\141", "\0", ""),
        ITEM("\377", "\0", ""),
        ITEM("\1", "\0", ""),            /* a text of no bytes */
        ITEM("\1", "\4", "GETX"),        /* without its NUL */
        ITEM("\1", "\4", "G\0T\0"),      /* with another */
        ITEM("\40", "\4", "1234"),       /* a number of 4 bytes */
        ITEM("\100", "\4", "abc\0"),     /* a pair of one */
        ITEM("\100", "\4", "a\0bc"),
        ITEM("\100", "\4", "a\0\0\0"),   /* of three */
        ITEM("\100", "\4", "abcd"),
        ITEM("\100", "\0", ""),
        ITEM("\104", "\4", "\0ab\0"),    /* a setting without a name */
        ITEM("\104", "\4", "1\0a\0"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memcpy(area, wrong[i].bytes, wrong[i].count);
        writer.bytes = wrong[i].count;
        kvt_assert_msg(read_back() != NULL, "item %zu", i);
    }
    writer.bytes = 0;
}
END_TEST

/* Read everything that there seems to be. */
static size_t walk(void)
{
    size_t sum = 0;
    size_t at = 0;
    ephpm_setting_t setting = { 0 };

    for (size_t i = 0; i <= EPHPM_ITEM_TEXT_LAST; i++) {
        sum += snapshot.texts[i] == NULL ? 0 : strlen(snapshot.texts[i]);
    }
    for (size_t i = 0; i < snapshot.pair_count; i++) {
        sum += strlen(snapshot.pairs[i].name) +
               strlen(snapshot.pairs[i].value);
    }
    for (size_t i = 0; i < snapshot.body_bytes; i++) {
        sum += (unsigned char)snapshot.body[i];
    }
    while (ephpm_snapshot_setting_next(&snapshot, &at, &setting)) {
        sum += strlen(setting.name) + strlen(setting.value) +
               (setting.file == NULL ? 0 : strlen(setting.file));
    }
    return sum;
}

static void write_some(runt_random_t *random)
{
    const ephpm_setting_t setting = {
        .name = "memory_limit", .value = "1M", .admin = true,
        .file = "/etc/conf", .line = (int)runt_below(random, 1000),
    };
    begin();
    for (unsigned i = runt_below(random, 30); i > 0; i--) {
        char text[200] = { 0 };
        memset(text, 'a' + (int)runt_below(random, 26),
               runt_below(random, sizeof(text)));
        switch (runt_below(random, 5)) {
        case 0:
            ephpm_snapshot_text(
                &writer, (ephpm_item_t)(1 + runt_below(random, 11)), text);
            break;
        case 1:
            ephpm_snapshot_number(
                &writer, (ephpm_item_t)(32 + runt_below(random, 9)),
                (int64_t)runt_next(random));
            break;
        case 2:
            ephpm_snapshot_setting(&writer, &setting);
            break;
        default:
            ephpm_snapshot_pair(
                &writer, (ephpm_item_t)(64 + runt_below(random, 4)), text,
                text + runt_below(random, sizeof(text)));
        }
    }
    if (runt_below(random, 2) == 0) {
        size_t bytes = runt_below(random, 500);
        memset(ephpm_snapshot_body(&writer, bytes), 'b', bytes);
    }
    end();
}

START_TEST(requests_that_were_scribbled_over_are_read_safely)
{
    enum { ROUNDS = 20000 / RUNT_SLOWER };
    uint64_t seed = (uint64_t)getpid() << 32 ^ ephpm_jobs_clock_us();
    runt_random_t random = { seed };
    unsigned refused = 0;
    size_t sum = 0;

    fprintf(stderr, "# seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < ROUNDS; round++) {
        write_some(&random);
        for (unsigned i = 1 + runt_below(&random, 6);
             i > 0 && writer.bytes > 0; i--) {
            uint32_t at = runt_below(&random, (uint32_t)writer.bytes);
            uint32_t number = (uint32_t)runt_next(&random);
            switch (runt_below(&random, 4)) {
            case 0:
                area[at] = (char)number;
                break;
            case 1:
                area[at] ^= (char)(1 << number % 8);
                break;
            case 2:
                memcpy(area + at / 4 * 4, &number, sizeof(number));
                break;
            default:
                writer.bytes = at; /* and cut short */
            }
        }
        if (read_back() != NULL) {
            refused++;
        }
        sum += walk();
    }
    ck_assert_uint_gt(refused, ROUNDS / 10);
    ck_assert_uint_lt(refused, ROUNDS);
    ck_assert_uint_gt(sum, 0);
    writer.bytes = 0;
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tcase = kvt_case(suite, "written and read");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_is_written_is_read);
    tcase_add_test(tcase, settings_travel_with_where_they_are_written);
    tcase_add_test(tcase, what_cannot_be_written_is_an_error_once);
    tcase_add_test(
        tcase, what_does_not_fit_goes_to_a_file_that_the_reader_removes);
    tcase_add_test(tcase, a_body_that_does_not_fit_goes_to_the_file);
    tcase_add_test(tcase, the_room_that_is_said_is_there);
    tcase_add_test(tcase, a_file_is_removed_when_the_job_is_not_taken);
    tcase_add_test(tcase, a_full_disk_is_an_error_and_leaves_no_file);
    tcase_add_test(tcase, nothing_that_stands_in_the_files_place_is_touched);

    tcase = kvt_case(suite, "not believed");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_file_that_is_missing_is_said_to_be);
    tcase_add_test(tcase,
                   a_file_that_is_another_is_neither_read_nor_removed);
    tcase_add_test(tcase, a_file_names_no_other_file);
    tcase_add_test(tcase, a_request_that_is_cut_short_anywhere_is_refused);
    tcase_add_test(tcase, items_that_no_writer_makes_are_refused);
    tcase_add_test(tcase, requests_that_were_scribbled_over_are_read_safely);
    return kvt_run(suite);
}
