/* ephpm_slowlog.c - the thread that reads a script's frames. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* process_vm_readv, pipe2 */
#endif

#include "ephpm_pool_private.h"
#include "ephpm_slowlog.h"

#include "kv_futex.h"

#include <php.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (128u * 1024)
#define FRAMES_MAX 64
#define NAME_MAX_BYTES 512u
#define TRACE_BYTES 32768u
#define TRIES 3

typedef struct slowlog {
    const ephpm_pool_t *pool;
    unsigned index;
    ephpm_bell_t *bell;
    /* Of the main thread: a thread-safe PHP has one for each. */
    zend_execute_data *const *current;
    int pipe[2];                /* instead of process_vm_readv; -1 */
    bool told;                  /* that the file cannot be written */
    size_t bytes;
    char text[TRACE_BYTES];
} slowlog_t;

static slowlog_t slowlog = { .pipe = { -1, -1 } };

/* ------------------------------------------------------------------ */
/* Memory that may not be there                                        */

/* A sandbox may forbid process_vm_readv(); write() of memory that is not
 * there fails as well. */
static bool peek_by_pipe(const void *from, void *to, size_t bytes)
{
    if (slowlog.pipe[0] < 0
        && pipe2(slowlog.pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    if (write(slowlog.pipe[1], from, bytes) == (ssize_t)bytes) {
        return read(slowlog.pipe[0], to, bytes) == (ssize_t)bytes;
    }
    /* Whatever of it was there. */
    while (read(slowlog.pipe[0], to, bytes) > 0) {
    }
    return false;
}

static bool peek(const void *from, void *to, size_t bytes)
{
    struct iovec here = { to, bytes };
    struct iovec there = { (void *)(uintptr_t)from, bytes };
    ssize_t got;

    if (slowlog.pipe[0] >= 0) {
        return peek_by_pipe(from, to, bytes);
    }
    got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    if (got < 0 && (errno == EPERM || errno == ENOSYS)) {
        return peek_by_pipe(from, to, bytes);
    }
    return got == (ssize_t)bytes;
}

#define PEEK(pointer, field, to) \
    peek((const char *)(pointer) + offsetof(__typeof__(*(pointer)), field), \
         (to), sizeof(*(to)))

/* The text of a string of PHP's; `to` has NAME_MAX_BYTES. */
static bool peek_string(const zend_string *string, char *to)
{
    size_t length;

    if (string == NULL || !PEEK(string, len, &length)) {
        return false;
    }
    if (length > NAME_MAX_BYTES - 1) {
        length = NAME_MAX_BYTES - 1;
    }
    if (!peek(ZSTR_VAL(string), to, length)) {
        return false;
    }
    to[length] = '\0';
    /* A name of a closure or class without one has a NUL in it. */
    for (size_t i = 0; i < length; i++) {
        to[i] = to[i] == '\0' ? '@' : to[i];
    }
    ephpm_text_tidy(to);
    return true;
}

/* ------------------------------------------------------------------ */
/* The trace                                                           */

static void __attribute__((format(printf, 1, 2))) add(const char *format, ...)
{
    size_t room = sizeof(slowlog.text) - slowlog.bytes;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(slowlog.text + slowlog.bytes, room, format, arguments);
    va_end(arguments);
    if (length > 0) {
        slowlog.bytes += (size_t)length < room ? (size_t)length : room - 1;
    }
}

/* gmtime_r() and its like take a lock. */
static void add_time(time_t now)
{
    static const char *const months[] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
        "Nov", "Dec"
    };
    long long s = (long long)now + atomic_load(&slowlog.bell->utc_offset_s);
    long long days = s / 86400, of_day = s % 86400;
    /* Years begin in March here, so that a leap day is the last of one. */
    long long era_day = (days + 719468) % 146097;
    long long era = (days + 719468) / 146097;
    long long year = (era_day - era_day / 1460 + era_day / 36524
                      - era_day / 146096) / 365;
    long long day = era_day - (365 * year + year / 4 - year / 100);
    long long month = (5 * day + 2) / 153;

    day -= (153 * month + 2) / 5;
    month = month < 10 ? month + 2 : month - 10;
    year += era * 400 + (month < 2);
    add("[%02lld-%s-%lld %02lld:%02lld:%02lld]", day + 1, months[month], year,
        of_day / 3600, of_day / 60 % 60, of_day % 60);
}

static void add_called(const zend_execute_data *frame,
                         const zend_function *function)
{
    const zend_string *name = NULL;
    const zend_class_entry *scope = NULL;
    char text[NAME_MAX_BYTES];

    if (function == NULL || !PEEK(function, common.function_name, &name)) {
        add("(unknown)");
        return;
    }
    if (name == NULL) {
        uint32_t info = 0;

        PEEK(frame, This.u1.type_info, &info);
        add(info & ZEND_CALL_TOP ? "{main}()" : "[INCLUDE_OR_EVAL]()");
        return;
    }
    if (PEEK(function, common.scope, &scope) && scope != NULL
        && PEEK(scope, name, &name) && peek_string(name, text)) {
        add("%s::", text);
    }
    if (PEEK(function, common.function_name, &name)
        && peek_string(name, text)) {
        add("%s()", text);
    } else {
        add("(unknown)");
    }
}

/* Where the innermost script among `frame` and its callers is. */
static void add_place(const zend_execute_data *frame)
{
    for (int i = 0; frame != NULL && i < FRAMES_MAX; i++) {
        const zend_function *function = NULL;
        const zend_op *opline = NULL;
        const zend_string *name = NULL;
        char file[NAME_MAX_BYTES];
        uint8_t type = 0;
        uint32_t line = 0;

        if (!PEEK(frame, func, &function)) {
            break;
        }
        if (function != NULL && PEEK(function, type, &type)
            && ZEND_USER_CODE(type)) {
            if (PEEK(function, op_array.filename, &name)
                && peek_string(name, file)) {
                if (PEEK(frame, opline, &opline) && opline != NULL) {
                    PEEK(opline, lineno, &line);
                }
                add(" %s:%u\n", file, line);
                return;
            }
            break;
        }
        if (!PEEK(frame, prev_execute_data, &frame)) {
            break;
        }
    }
    add(" unknown:0\n");
}

static bool is_main(const zend_execute_data *frame,
                    const zend_function *function)
{
    const zend_string *name = NULL;
    uint32_t info = 0;

    return function != NULL && PEEK(function, common.function_name, &name)
           && name == NULL && PEEK(frame, This.u1.type_info, &info)
           && (info & ZEND_CALL_TOP) != 0;
}

static void add_frames(const zend_execute_data *frame)
{
    const zend_execute_data *innermost = frame;

    if (frame == NULL) {
        add("(no script runs at this moment)\n");
    }
    for (int i = 0; frame != NULL && i < FRAMES_MAX; i++) {
        const zend_execute_data *caller = NULL;
        const zend_function *function = NULL;

        if (!PEEK(frame, func, &function)
            || !PEEK(frame, prev_execute_data, &caller)) {
            add("(the trace breaks off)\n");
            return;
        }
        /* The script itself is at the places of what it has called; it is a
         * line of its own only if it has called nothing. */
        if (!is_main(frame, function)) {
            add("[0x%016" PRIxPTR "] ", (uintptr_t)frame);
            add_called(frame, function);
            add_place(caller);
        } else if (frame == innermost) {
            add("[0x%016" PRIxPTR "] ", (uintptr_t)frame);
            add_called(frame, function);
            add_place(frame);
        }
        frame = caller;
    }
}

static void trace(ephpm_running_t *running)
{
    const zend_execute_data *before, *after;
    size_t head_bytes;

    ephpm_text_tidy(running->script);
    slowlog.bytes = 0;
    add("\n");
    add_time(time(NULL));
    add("  [pool ephpm] pid %ld\nscript_filename = %s\n", (long)getpid(),
        running->script);
    head_bytes = slowlog.bytes;
    for (int i = 0; i < TRIES; i++) {
        slowlog.bytes = head_bytes;
        before = after = NULL;
        peek(slowlog.current, &before, sizeof(before));
        add_frames(before);
        peek(slowlog.current, &after, sizeof(after));
        if (before == after) {
            break;
        }
    }
}

/* ------------------------------------------------------------------ */
/* The file                                                            */

static int open_file(const ephpm_pool_t *pool)
{
    return open(pool->slowlog, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW
                                   | O_CLOEXEC | O_NOCTTY, 0600);
}

int ephpm_slowlog_check(const ephpm_pool_t *pool)
{
    int file = open_file(pool);

    if (file < 0) {
        return errno;
    }
    close(file);
    return 0;
}

static void append(void)
{
    const ephpm_pool_t *pool = slowlog.pool;
    int file = open_file(pool), error = errno;
    char message[1024];

    if (file >= 0) {
        bool written = write(file, slowlog.text, slowlog.bytes)
                       == (ssize_t)slowlog.bytes;

        error = errno;
        close(file);
        if (written) {
            ephpm_count_add(pool->jobs, EPHPM_COUNT_SLOW, 1);
            return;
        }
    }
    if (!slowlog.told) {
        slowlog.told = true;
        snprintf(message, sizeof(message), "the slow log %s cannot be "
                 "written: errno %d", pool->slowlog, error);
        pool->log(LOG_ERR, message);
    }
}

/* ------------------------------------------------------------------ */
/* The thread                                                          */

static void *wait_for_bell(void *unused)
{
    ephpm_bell_t *bell = slowlog.bell;
    uint32_t heard = 0;

    for (;;) {
        uint32_t rung = atomic_load(&bell->rung);
        ephpm_running_t running;

        if (rung == heard) {
            kv_futex_wait(&bell->rung, rung, 3600 * 1000);
            continue;
        }
        heard = rung;
        if (ephpm_runner_task(slowlog.pool->jobs, slowlog.index, &running)
            && running.word == atomic_load(&bell->word)) {
            trace(&running);
            append();
        }
    }
    return unused;
}

int ephpm_slowlog_start(const ephpm_pool_t *pool, unsigned index,
                        ephpm_bell_t *bell)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, mask;
    int error;

    slowlog.pool = pool;
    slowlog.index = index;
    slowlog.bell = bell;
    slowlog.current = &EG(current_execute_data);
    /* What was asked of the one before. */
    atomic_store(&bell->rung, 0);
    atomic_store(&bell->word, 0);

    /* Signals are for the script. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, wait_for_bell, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return error;
}

/* ------------------------------------------------------------------ */
/* The spawner's side                                                  */

void ephpm_slowlog_ring(ephpm_bell_t *bell, const ephpm_running_t *running)
{
    time_t now = time(NULL);
    struct tm local;

    if (localtime_r(&now, &local) != NULL) {
        atomic_store(&bell->utc_offset_s, (int32_t)local.tm_gmtoff);
    }
    atomic_store(&bell->word, running->word);
    atomic_fetch_add(&bell->rung, 1);
    kv_futex_wake(&bell->rung);
}
