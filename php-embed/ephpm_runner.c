/* ephpm_runner.c - a runner: takes a job, runs its script, takes the next. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "ephpm_pool_private.h"

#include "ephpm_facts.h"

#include <php.h>
#include <php_output.h>
#include <SAPI.h>
#include <zend_ini.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* What a request may leave allocated for the next one. */
#define SETTINGS_KEPT 256u
#define PUBLISH_US UINT64_C(1000000)

typedef struct runner {
    const ephpm_pool_t *pool;
    unsigned index;
    pid_t spawner;
    kv_store_t **stores;        /* as in the pool's list; NULL: not attached */
    ephpm_ini_t *ini;           /* where settings come from several sources */
    size_t ini_count;
    size_t ini_room;
    bool ini_lost;              /* for want of memory */
    unsigned served_max;        /* 0: no end */
    unsigned served;
} runner_t;

static runner_t runner;

static volatile sig_atomic_t told_to_leave;

/* ------------------------------------------------------------------ */
/* Stores                                                              */

static void attach_stores(const ephpm_pool_t *pool)
{
    runner.stores = calloc(pool->store_count + 1, sizeof(*runner.stores));
    for (unsigned i = 0; runner.stores != NULL && i < pool->store_count; i++) {
        const ephpm_pool_store_t *store = &pool->stores[i];
        kv_result_t result = kv_store_attach(store->memory, store->size_bytes,
                                             &runner.stores[i]);

        if (result != KV_OK) {
            runner.stores[i] = NULL;
            ephpm_pool_log(pool, LOG_ERR, "store %s cannot be used by runner "
                           "%u: %s; restart the server", store->name,
                           runner.index, kv_result_text(result));
        }
    }
}

static void detach_stores(const ephpm_pool_t *pool)
{
    for (unsigned i = 0; runner.stores != NULL && i < pool->store_count; i++) {
        kv_store_detach(runner.stores[i]);
    }
    free(runner.stores);
    runner.stores = NULL;
}

kv_store_t *ephpm_runner_store(const char *name)
{
    const ephpm_pool_t *pool = runner.pool;
    int64_t own;

    if (!ephpm_run.active || runner.stores == NULL) {
        return NULL;
    }
    own = ephpm_snapshot_get(&ephpm_run.snapshot, EPHPM_ITEM_STORE);
    if (own < 0) {
        return NULL;
    }
    if (name == NULL) {
        return own > 0 && own <= pool->store_count ? runner.stores[own - 1]
                                                   : NULL;
    }
    for (unsigned i = 0; i < pool->store_count; i++) {
        if (strcmp(pool->stores[i].name, name) == 0) {
            return runner.stores[i];
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------ */
/* Notes and variables                                                 */

const ephpm_snapshot_t *ephpm_runner_snapshot(void)
{
    return ephpm_run.active ? &ephpm_run.snapshot : NULL;
}

static bool same_name(ephpm_item_t kind, const char *a, const char *b)
{
    return kind == EPHPM_ITEM_VARIABLE ? strcmp(a, b) == 0
                                       : strcasecmp(a, b) == 0;
}

const char *ephpm_runner_pair(ephpm_item_t kind, const char *name)
{
    const ephpm_run_t *run = &ephpm_run;
    const char *value = NULL;

    if (!run->active) {
        return NULL;
    }
    for (size_t i = run->sent_count; i > 0; i--) {
        const ephpm_pair_t *pair = &run->sent[i - 1];

        if (pair->kind == kind && same_name(kind, pair->name, name)) {
            return pair->value;
        }
    }
    for (size_t i = 0; i < run->snapshot.pair_count; i++) {
        const ephpm_pair_t *pair = &run->snapshot.pairs[i];

        if (pair->kind == kind && same_name(kind, pair->name, name)) {
            value = pair->value;
            /* As in $_SERVER: of variables the last one counts. */
            if (kind != EPHPM_ITEM_VARIABLE) {
                break;
            }
        }
    }
    return value;
}

/* Name and value in one piece, both with their NUL. */
static bool remember(ephpm_run_t *run, ephpm_item_t kind, char *pair,
                     size_t name_bytes)
{
    if (run->sent_count == run->sent_room) {
        size_t room = run->sent_room + 16;
        ephpm_pair_t *grown = realloc(run->sent, room * sizeof(*grown));

        if (grown == NULL) {
            return false;
        }
        run->sent = grown;
        run->sent_room = room;
    }
    run->sent[run->sent_count].kind = kind;
    run->sent[run->sent_count].name = pair;
    run->sent[run->sent_count].value = pair + name_bytes;
    run->sent_count++;
    return true;
}

bool ephpm_runner_send_pair(ephpm_frame_type_t type, const char *name,
                            const char *value)
{
    ephpm_run_t *run = &ephpm_run;
    size_t name_bytes = strlen(name) + 1, value_bytes = strlen(value) + 1;
    char *pair;

    if (!run->active || ephpm_request_forked()) {
        return false;
    }
    pair = malloc(name_bytes + value_bytes);
    if (pair == NULL) {
        return false;
    }
    memcpy(pair, name, name_bytes);
    memcpy(pair + name_bytes, value, value_bytes);
    if (!remember(run, type == EPHPM_FRAME_NOTE ? EPHPM_ITEM_NOTE
                                                : EPHPM_ITEM_VARIABLE,
                  pair, name_bytes)) {
        free(pair);
        return false;
    }
    return !run->task.answered
           && ephpm_task_write(&run->task, type, pair,
                               name_bytes + value_bytes);
}

/* ------------------------------------------------------------------ */
/* Settings                                                            */

static void add_setting(const ephpm_ini_t *setting)
{
    if (runner.ini_count == runner.ini_room) {
        size_t room = runner.ini_room * 2 + 32;
        ephpm_ini_t *grown = realloc(runner.ini, room * sizeof(*grown));

        if (grown == NULL) {
            runner.ini_lost = true;
            return;
        }
        runner.ini = grown;
        runner.ini_room = room;
    }
    runner.ini[runner.ini_count++] = *setting;
}

static void add_user_setting(void *script, const char *name,
                             const char *value)
{
    ephpm_ini_t setting = { .name = name, .value = value, .htaccess = true,
                            .file = script };

    add_setting(&setting);
}

/* Those of the number, those by value, and what .user.ini files have.
 * @return NULL, or why the request cannot have them */
static const char *collect_settings(ephpm_run_t *run, ephpm_request_t *request)
{
    const ephpm_snapshot_t *snapshot = &run->snapshot;
    int64_t number = ephpm_snapshot_get(snapshot, EPHPM_ITEM_SETTINGS);
    const ephpm_ini_t *known = NULL;
    ephpm_setting_t setting = { 0 };
    size_t count = 0, at = 0;

    if (run->pool->settings != NULL) {
        if (number >= 0 && number <= UINT32_MAX) {
            known = run->pool->settings((uint32_t)number, &count);
        }
        if (known == NULL) {
            return "the job has settings that the server does not know";
        }
    }
    runner.ini_count = 0;
    runner.ini_lost = false;
    for (size_t i = 0; i < count; i++) {
        add_setting(&known[i]);
    }
    while (ephpm_snapshot_setting_next(snapshot, &at, &setting)) {
        ephpm_ini_t by_value = {
            .name = setting.name, .value = setting.value,
            .admin = setting.admin, .htaccess = setting.htaccess,
            .file = setting.file, .line = setting.line
        };

        add_setting(&by_value);
    }
    if (snapshot->texts[EPHPM_ITEM_USER_INI_ROOT] != NULL) {
        ephpm_user_ini_each(snapshot->texts[EPHPM_ITEM_USER_INI_ROOT],
                            request->script, add_user_setting,
                            (void *)request->script);
    }
    request->ini = runner.ini;
    request->ini_count = runner.ini_count;
    /* One of them may be what keeps the script in its place. */
    return runner.ini_lost ? "there is no memory for its settings" : NULL;
}

/* ------------------------------------------------------------------ */
/* A request                                                           */

void ephpm_run_end(ephpm_run_t *run)
{
    run->end.memory_bytes = ephpm_request_memory();
    run->end.exit_status = EG(exit_status);
    run->end.cpu_us = ephpm_thread_cpu_us() - run->cpu_us;
}

/* It cannot be run: a bare 500, which the server may dress. */
static void refuse(ephpm_run_t *run, const char *why)
{
    const char *script = run->snapshot.texts[EPHPM_ITEM_SCRIPT];
    char message[EPHPM_LOG_LINE_BYTES];

    snprintf(message, sizeof(message), "script '%s' was not run: %s",
             script ? script : "", why);
    ephpm_text_tidy(message);
    ephpm_run_log(run, LOG_ERR, message);
    run->head.bytes = 0;
    ephpm_head_send(&run->head, &run->task, EPHPM_FRAME_HEAD, 500, NULL);
}

static void describe(const ephpm_run_t *run, ephpm_request_t *request)
{
    const ephpm_snapshot_t *snapshot = &run->snapshot;
    const char *const *texts = snapshot->texts;
    int64_t status = ephpm_snapshot_get(snapshot, EPHPM_ITEM_STATUS);
    int64_t length = ephpm_snapshot_get(snapshot, EPHPM_ITEM_CONTENT_LENGTH);

    memset(request, 0, sizeof(*request));
    request->host = &ephpm_run;
    request->method = texts[EPHPM_ITEM_METHOD];
    request->uri = texts[EPHPM_ITEM_URI];
    request->query = texts[EPHPM_ITEM_QUERY];
    request->content_type = texts[EPHPM_ITEM_CONTENT_TYPE];
    request->content_length = length > 0 ? length : 0;
    request->cookies = texts[EPHPM_ITEM_COOKIES];
    request->authorization = texts[EPHPM_ITEM_AUTHORIZATION];
    request->user = texts[EPHPM_ITEM_USER];
    request->script = texts[EPHPM_ITEM_SCRIPT];
    request->protocol = (int)ephpm_snapshot_get(snapshot,
                                                EPHPM_ITEM_PROTOCOL);
    request->status = status >= 100 && status <= 999 ? (int)status : 200;
    request->host_name = texts[EPHPM_ITEM_HOST_NAME];
}

/* What the script's status is to be if it cannot be had, or 0.  The words are
 * those that programs which watch logs look for. */
static int find_script(ephpm_run_t *run)
{
    const char *script = run->snapshot.texts[EPHPM_ITEM_SCRIPT];
    char message[EPHPM_LOG_LINE_BYTES];
    int status = 0;

    run->script_known = stat(script, &run->script) == 0;
    if (run->pool->php_answers) {
        return 0;
    }
    if (!run->script_known && errno != EACCES) {
        snprintf(message, sizeof(message),
                 "script '%s' not found or unable to stat", script);
        status = 404;
    } else if (run->script_known && S_ISDIR(run->script.st_mode)) {
        snprintf(message, sizeof(message),
                 "attempt to invoke directory '%s' as script", script);
        status = 403;
    } else if (!run->script_known || access(script, R_OK) != 0) {
        snprintf(message, sizeof(message), "script '%s' may not be read",
                 script);
        status = 403;
    }
    if (status != 0) {
        ephpm_text_tidy(message);
        ephpm_run_log(run, LOG_ERR, message);
    }
    return status;
}

static void send_last_modified(const ephpm_run_t *run)
{
    char line[64];
    struct tm utc;
    sapi_header_line header = { .line = line };

    if (!run->script_known || SG(headers_sent)
        || ((run->flags & EPHPM_SNAPSHOT_LAST_MODIFIED) == 0
            && zend_ini_long("last_modified", sizeof("last_modified") - 1, 0)
                   == 0)
        || gmtime_r(&run->script.st_mtime, &utc) == NULL) {
        return;
    }
    header.line_len = strftime(line, sizeof(line), "Last-Modified: "
                               "%a, %d %b %Y %H:%M:%S GMT", &utc);
    sapi_header_op(SAPI_HEADER_REPLACE, &header);
}

static void answer_plainly(int status)
{
    zend_first_try {
        SG(sapi_headers).http_response_code = status;
        if (status == 403) {
            PHPWRITE("Access denied.\n", sizeof("Access denied.\n") - 1);
        } else {
            PHPWRITE("File not found.\n", sizeof("File not found.\n") - 1);
        }
    } zend_end_try();
}

static void run_script(ephpm_run_t *run, const ephpm_request_t *request)
{
    int missing;

    if (!ephpm_request_begin(request)) {
        ephpm_request_discard();
        refuse(run, "PHP did not take the request");
        return;
    }
    if (SG(request_info).auth_user != NULL) {
        snprintf(run->end.user, sizeof(run->end.user), "%s",
                 SG(request_info).auth_user);
    }
    missing = find_script(run);
    if (missing != 0) {
        answer_plainly(missing);
        return;
    }
    send_last_modified(run);
    if ((run->flags & EPHPM_SNAPSHOT_SHOW) != 0) {
        ephpm_script_show(request->script);
    } else {
        ephpm_script_run(request->script);
    }
}

/* Beyond the end of ephpm_request_end() there are no processes that the
 * script has forked; before it they are kept from the job by the SAPI. */
static void serve(ephpm_run_t *run)
{
    ephpm_request_t request;
    const char *why;

    run->active = true;
    run->flags = 0;
    run->cpu_us = ephpm_thread_cpu_us();
    memset(&run->end, 0, sizeof(run->end));
    why = ephpm_snapshot_read(&run->snapshot, run->task.request,
                              run->task.request_bytes);
    if (why == NULL) {
        run->flags = ephpm_snapshot_get(&run->snapshot, EPHPM_ITEM_FLAGS);
        describe(run, &request);
        why = request.script == NULL ? "the job names no script"
                                     : collect_settings(run, &request);
    }
    if (why == NULL) {
        why = ephpm_run_body(run);
    }
    if (why != NULL) {
        refuse(run, why);
    } else {
        run_script(run, &request);
        /* Should PHP not come to where it tells of the end. */
        ephpm_run_end(run);
        ephpm_request_end();
    }
    ephpm_run_clear(run);
    ephpm_task_finish(&run->task, &run->end);
    if (runner.ini_room > SETTINGS_KEPT) {
        free(runner.ini);
        runner.ini = NULL;
        runner.ini_room = 0;
    }
}

/* ------------------------------------------------------------------ */
/* The process                                                         */

static void note_leaving(int number)
{
    (void)number;
    told_to_leave = 1;
}

static bool forked;             /* by a script, since the last look */

static void note_fork(void)
{
    forked = true;
}

/* Nobody else waits for what a script has forked and left behind. */
static void bury_forked(void)
{
    while (forked) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);

        if (pid == 0) {
            return;
        }
        forked = pid > 0 || errno == EINTR;
    }
}

/* What a script forks is no runner: it can be ended. */
static void be_mortal(void)
{
    static const int numbers[] = {
        SIGTERM, SIGQUIT, SIGHUP, SIGINT, SIGUSR1, SIGUSR2
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction action;

        /* A handler of the script's stays. */
        if (sigaction(numbers[i], NULL, &action) == 0
            && (action.sa_handler == note_leaving
                || action.sa_handler == ephpm_process_hear_nothing)) {
            signal(numbers[i], SIG_DFL);
        }
    }
}

static void hear_signals(void)
{
    struct sigaction action = { .sa_handler = note_leaving,
                                .sa_flags = SA_RESTART };

    ephpm_process_signals();
    ephpm_process_deaf();
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
    ephpm_process_unblock();
    pthread_atfork(NULL, note_fork, be_mortal);
}

/* Its parent is dead, and nobody wants anything any more. */
static bool orphaned(void)
{
    return getppid() != runner.spawner
           && ephpm_submitters_living(runner.pool->jobs) == 0;
}

/* For a status page in another process; at most once a second. */
static void publish(const ephpm_pool_t *pool)
{
    static uint64_t next_us;
    uint64_t now_us = ephpm_jobs_clock_us();
    char room[EPHPM_FACTS_BYTES];
    ephpm_status_t status;

    if (now_us < next_us) {
        return;
    }
    next_us = now_us + PUBLISH_US;
    memset(&status, 0, sizeof(status));
    ephpm_status_ask_php(&status);
    ephpm_facts_put(pool->jobs, room, ephpm_facts_pack(&status, room));
}

static void look_after_slow(const ephpm_pool_t *pool,
                            ephpm_pool_shared_t *shared)
{
    int error;

    if (pool->slowlog == NULL || pool->slowlog_ms == 0) {
        return;
    }
    error = ephpm_slowlog_start(pool, runner.index,
                                &shared->places[runner.index].bell);
    if (error != 0) {
        ephpm_pool_log(pool, LOG_ERR, "runner %u has no slow log: %s",
                       runner.index, strerror(error));
    }
}

/* Not all of them at once: each leaves up to an eighth earlier. */
static unsigned some_requests(unsigned max_requests)
{
    struct timespec now;

    if (max_requests == 0) {
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    return max_requests
           - ((unsigned)now.tv_nsec / 1000u + runner.index * 7919u)
                 % (max_requests / 8 + 1);
}

static _Noreturn void leave(const ephpm_pool_t *pool)
{
    /* An extension that does not come to its end is not waited for. */
    signal(SIGALRM, SIG_DFL);
    alarm(10);
    ephpm_snapshot_clear(&ephpm_run.snapshot);
    free(ephpm_run.head.ops);
    free(ephpm_run.sent);
    free(runner.ini);
    detach_stores(pool);
    ephpm_runner_detach(pool->jobs);
    ephpm_sapi_shutdown();
    _exit(0);
}

_Noreturn void ephpm_runner_run(const ephpm_pool_t *pool,
                                ephpm_pool_shared_t *shared, unsigned index,
                                pid_t spawner)
{
    runner.pool = pool;
    runner.index = index;
    runner.spawner = spawner;
    hear_signals();
    if (pool->after_fork != NULL) {
        pool->after_fork();
    }
    ephpm_process_private();
    ephpm_process_title(pool->process_title, "ephpm-runner");
    if (!ephpm_runner_attach(pool->jobs, index)) {
        _exit(EPHPM_EXIT_PLACE);
    }
    ephpm_runner_gives_way(pool->jobs);
    runner.served_max = some_requests(pool->max_requests);
    attach_stores(pool);
    ephpm_sapi_child();
    look_after_slow(pool, shared);
    publish(pool);
    if (ephpm_pulse_get(pool->jobs) != EPHPM_PULSE_READY) {
        ephpm_pulse_set(pool->jobs, EPHPM_PULSE_READY);
    }
    while (!told_to_leave) {
        if (!ephpm_task_take(pool->jobs, &ephpm_run.task,
                             EPHPM_LOOK_AGAIN_MS)) {
            if (orphaned()) {
                break;
            }
            continue;
        }
        atomic_store(&shared->places[index].worked, 1);
        serve(&ephpm_run);
        bury_forked();
        publish(pool);
        if (runner.served_max > 0 && ++runner.served >= runner.served_max) {
            ephpm_count_add(pool->jobs, EPHPM_COUNT_RECYCLED, 1);
            break;
        }
    }
    leave(pool);
}
