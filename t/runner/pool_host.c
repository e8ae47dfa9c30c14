/* pool_host.c - a minimal server. */

#include "pool_host.h"

#include "ephpm_ext.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

host_t host;

static int log_file = -1;

#define STORE_BYTES ((size_t)8 << 20)

/* ------------------------------------------------------------------ */
/* Time                                                                */

double host_clock(void)
{
    return (double)ephpm_jobs_clock_us() / 1e6;
}

void host_sleep(unsigned ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };

    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
}

bool host_wait(bool (*is)(void))
{
    double until = host_clock() + PATIENCE_S;

    while (!is()) {
        if (host_clock() > until) {
            return false;
        }
        host_sleep(10);
    }
    return true;
}

/* ------------------------------------------------------------------ */
/* Files                                                               */

static void spew(const char *path, const char *text, size_t bytes)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, text, bytes), (ssize_t)bytes);
    close(file);
}

char *host_file(const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t bytes = 0;
    char *text;

    if (file >= 0 && fstat(file, &status) == 0) {
        bytes = (size_t)status.st_size;
    }
    text = calloc(1, bytes + 1);
    ck_assert_ptr_nonnull(text);
    if (file >= 0) {
        ck_assert_int_eq(read(file, text, bytes), (ssize_t)bytes);
        close(file);
    }
    return text;
}

const char *host_script(const char *name, const char *php)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", host.folder, name);
    spew(path, php, strlen(php));
    return path;
}

static void log_line(int priority, const char *message)
{
    char line[4096];
    int length = snprintf(line, sizeof(line), "%d %s\n", priority, message);

    if (length >= (int)sizeof(line)) {
        length = sizeof(line) - 1;
    }
    if (write(log_file, line, (size_t)length) != length) {
        _exit(99);
    }
}

char *host_logged(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/log", host.folder);
    return host_file(path);
}

unsigned host_log_count(const char *text)
{
    char *log = host_logged();
    unsigned count = 0;

    for (const char *at = log; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    free(log);
    return count;
}

static const char *awaited;

static bool is_logged(void)
{
    return host_log_count(awaited) > 0;
}

bool host_logs(const char *text)
{
    awaited = text;
    if (host_wait(is_logged)) {
        return true;
    }
    awaited = host_logged();
    fprintf(stderr, "# not in the log: %s\n# the log: %s\n", text, awaited);
    free((char *)awaited);
    return false;
}

static void remove_all(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char name[512];

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0
            && strcmp(entry->d_name, "..") != 0) {
            snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
            if (unlink(name) != 0) {
                remove_all(name);
            }
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    rmdir(path);
}

/* ------------------------------------------------------------------ */
/* Processes                                                           */

pid_t host_child(pid_t parent)
{
    char path[64], *text;
    pid_t child;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent,
             (int)parent);
    /* A file of proc's has no size. */
    int file = open(path, O_RDONLY | O_CLOEXEC);
    char buffer[4096] = "";

    if (file < 0) {
        return 0;
    }
    if (read(file, buffer, sizeof(buffer) - 1) < 0) {
        buffer[0] = '\0';
    }
    close(file);
    text = buffer;
    child = (pid_t)strtol(text, NULL, 10);
    return child;
}

long host_memory(pid_t pid, const char *field)
{
    char path[64], buffer[8192] = "", *at;
    int file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    ck_assert_int_gt(read(file, buffer, sizeof(buffer) - 1), 0);
    close(file);
    at = strstr(buffer, field);
    ck_assert_ptr_nonnull(at);
    return strtol(at + strlen(field) + 1, NULL, 10);
}

static bool a_runner_is_ready(void)
{
    return ephpm_pulse_get(host.jobs) == EPHPM_PULSE_READY;
}

void host_spawn(void)
{
    host.pool.supervisor = getpid();
    host.spawner = fork();
    ck_assert_int_ge(host.spawner, 0);
    if (host.spawner == 0) {
        ephpm_spawner_run(&host.pool);
    }
}

static void make_store(void)
{
    void *memory = mmap(NULL, STORE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(kv_store_create(memory, STORE_BYTES, NULL), KV_OK);
    ck_assert_int_eq(kv_store_attach(memory, STORE_BYTES, &host.kv), KV_OK);
    host.store.name = "default";
    host.store.memory = memory;
    host.store.size_bytes = STORE_BYTES;
    host.pool.stores = &host.store;
    host.pool.store_count = 1;
}

/* What a host's own extension does with notes and variables. */

ZEND_BEGIN_ARG_INFO_EX(host_send_arginfo, 0, 0, 3)
    ZEND_ARG_INFO(0, type)
    ZEND_ARG_INFO(0, name)
    ZEND_ARG_INFO(0, value)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_INFO_EX(host_pair_arginfo, 0, 0, 2)
    ZEND_ARG_INFO(0, kind)
    ZEND_ARG_INFO(0, name)
ZEND_END_ARG_INFO()

static ZEND_FUNCTION(host_send)
{
    char *name, *value;
    size_t name_length, value_length;
    zend_long type;

    ZEND_PARSE_PARAMETERS_START(3, 3)
        Z_PARAM_LONG(type)
        Z_PARAM_STRING(name, name_length)
        Z_PARAM_STRING(value, value_length)
    ZEND_PARSE_PARAMETERS_END();
    RETURN_BOOL(ephpm_runner_snapshot() != NULL
                && ephpm_runner_send_pair((ephpm_frame_type_t)type, name,
                                          value));
}

static ZEND_FUNCTION(host_pair)
{
    const char *value;
    char *name;
    size_t name_length;
    zend_long kind;

    ZEND_PARSE_PARAMETERS_START(2, 2)
        Z_PARAM_LONG(kind)
        Z_PARAM_STRING(name, name_length)
    ZEND_PARSE_PARAMETERS_END();
    value = ephpm_runner_pair((ephpm_item_t)kind, name);
    if (value == NULL) {
        RETURN_NULL();
    }
    RETURN_STRING(value);
}

static const zend_function_entry host_functions[] = {
    ZEND_FE(host_send, host_send_arginfo)
    ZEND_FE(host_pair, host_pair_arginfo)
    ZEND_FE_END
};

static zend_module_entry host_entry = {
    STANDARD_MODULE_HEADER, "host", host_functions, NULL, NULL, NULL, NULL,
    NULL, "1", STANDARD_MODULE_PROPERTIES
};

/* What the server's configuration says by number. */
static const ephpm_ini_t *settings_of(uint32_t number, size_t *count)
{
    static const ephpm_ini_t none[1];
    static const ephpm_ini_t some[] = {
        { .name = "memory_limit", .value = "24M", .admin = true },
        { .name = "date.timezone", .value = "Europe/Vienna" },
    };

    *count = number == 1 ? 2 : 0;
    return number == 0 ? none : number == 1 ? some : NULL;
}

void host_start(const host_options_t *options)
{
    static zend_module_entry *const modules[] = {
        &ephpm_module_entry, &host_entry
    };
    static const char ini[] = "log_errors=1\nhtml_errors=0\n"
                              "display_errors=0\nopcache.enable=1\n"
                              "zend_extension=opcache\nextension=posix\n"
                              "opcache.interned_strings_buffer=4\n"
                              "opcache.memory_consumption=32\n"
                              "opcache.file_update_protection=0\n";
    ephpm_jobs_config_t config = {
        .runners = options->runners ? options->runners : 1,
        .queue = options->queue ? options->queue : 64, .submitters = 8
    };
    char text[4096], path[256];

    memset(&host, 0, sizeof(host));
    snprintf(host.folder, sizeof(host.folder), "/tmp/ephpm-pool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(host.folder));
    snprintf(path, sizeof(path), "%s/log", host.folder);
    log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(log_file, 0);
    snprintf(host.temp, sizeof(host.temp), "%s/temp", host.folder);
    ck_assert_int_eq(mkdir(host.temp, 0700), 0);
    snprintf(host.slowlog, sizeof(host.slowlog), "%s/slow", host.folder);
    snprintf(host.ini, sizeof(host.ini), "%s/php.ini", host.folder);
    snprintf(text, sizeof(text), "%s%s%s%s%s\n", ini,
             options->ini ? options->ini : "",
             options->preload ? "\nopcache.preload=" : "",
             options->preload ? host_script("preload.php", options->preload)
                              : "",
             options->preload && geteuid() == 0 ? "\nopcache.preload_user=root"
                                                : "");
    spew(host.ini, text, strlen(text));

    host.jobs = ephpm_jobs_make(&config);
    ck_assert_ptr_nonnull(host.jobs);
    host.pool = (ephpm_pool_t){
        .jobs = host.jobs, .sapi_name = "fpm-fcgi",
        .sapi_title = "A test of runners", .ini_path = host.ini,
        .modules = modules, .module_count = 2,
        .process_title = "test: ephpm runner", .temp_path = host.temp,
        .php_answers = options->php_answers,
        .slowlog = options->slowlog_ms ? host.slowlog : NULL,
        .slowlog_ms = options->slowlog_ms,
        .terminate_ms = options->terminate_ms,
        .max_requests = options->max_requests,
        .stop_ms = options->stop_ms ? options->stop_ms : 5000,
        .settings = settings_of, .log = log_line,
        .started = options->started
    };
    if (options->store) {
        make_store();
    }
    /* Extensions are found, but not Debian's list of them. */
    setenv("PHP_INI_SCAN_DIR", "", 1);
    ck_assert_int_eq(ephpm_submitter_attach(host.jobs, -1), 0);
    host_spawn();
    if (!options->late) {
        ck_assert(host_wait(a_runner_is_ready));
    }
}

static int wait_for(pid_t pid)
{
    double until = host_clock() + PATIENCE_S;
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (host_clock() > until) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        host_sleep(5);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int host_stop(void)
{
    int status;

    if (host.spawner <= 0) {
        return 0;
    }
    kill(host.spawner, SIGTERM);
    status = wait_for(host.spawner);
    host.spawner = 0;
    return status;
}

static bool all_runners_are_gone(void)
{
    for (unsigned i = 0; i < ephpm_jobs_config(host.jobs)->runners; i++) {
        if (ephpm_runner_lives(host.jobs, i)) {
            return false;
        }
    }
    return true;
}

void host_end(void)
{
    const char *broken;

    if (host.jobs == NULL) {
        return;
    }
    ck_assert_int_eq(host_stop(), 0);
    ephpm_submitter_detach(host.jobs);
    ck_assert(host_wait(all_runners_are_gone));
    broken = ephpm_jobs_check(host.jobs);
    ck_assert_msg(broken == NULL, "%s", broken);
    if (host.kv != NULL) {
        broken = kv_store_check(host.kv);
        ck_assert_msg(broken == NULL, "%s", broken);
        kv_store_detach(host.kv);
        munmap(host.store.memory, host.store.size_bytes);
    }
    ephpm_jobs_free(host.jobs);
    close(log_file);
    remove_all(host.folder);
    memset(&host, 0, sizeof(host));
}

void set(const char *key)
{
    ck_assert_int_eq(kv_value_set(host.kv, key, strlen(key), "1", 1, 0,
                                  KV_SET_ALWAYS), KV_OK);
}

bool is_set(const char *key)
{
    return kv_key_exists(host.kv, key, strlen(key)) == KV_OK;
}

pid_t runner_pid(unsigned index)
{
    return (pid_t)ephpm_runner_pid(host.jobs, index);
}

uint64_t counted(ephpm_count_t count)
{
    ephpm_jobs_stats_t stats;

    ephpm_jobs_stats(host.jobs, &stats);
    return stats.counts[count];
}

/* ------------------------------------------------------------------ */
/* Asking                                                              */

static void add_pairs(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                      const char *const *pairs)
{
    for (; pairs != NULL && *pairs != NULL; pairs += 2) {
        ephpm_snapshot_pair(writer, kind, pairs[0], pairs[1]);
    }
}

static void add_body(ephpm_snapshot_writer_t *writer, const ask_t *ask)
{
    size_t bytes = ask->body_bytes ? ask->body_bytes
                                   : ask->body ? strlen(ask->body) : 0;
    char path[128];

    if (ask->body_file != NULL) {
        ephpm_snapshot_number(writer, EPHPM_ITEM_CONTENT_LENGTH,
                              ask->body_file_bytes);
        ephpm_snapshot_text(writer, EPHPM_ITEM_BODY_FILE, ask->body_file);
        ephpm_snapshot_number(writer, EPHPM_ITEM_BODY_BYTES,
                              ask->body_file_bytes);
        return;
    }
    if (ask->body == NULL) {
        return;
    }
    ephpm_snapshot_number(writer, EPHPM_ITEM_CONTENT_LENGTH, (int64_t)bytes);
    if (ask->body_in_file) {
        /* With something before it, that is not to be read. */
        FILE *file;

        snprintf(path, sizeof(path), "%s/body", host.folder);
        file = fopen(path, "we");
        ck_assert_ptr_nonnull(file);
        fputs("before", file);
        ck_assert_uint_eq(fwrite(ask->body, 1, bytes, file), bytes);
        fputs("after", file);
        fclose(file);
        ephpm_snapshot_text(writer, EPHPM_ITEM_BODY_FILE, path);
        ephpm_snapshot_number(writer, EPHPM_ITEM_BODY_OFFSET, 6);
        ephpm_snapshot_number(writer, EPHPM_ITEM_BODY_BYTES, (int64_t)bytes);
    } else {
        void *to = ephpm_snapshot_body(writer, bytes);

        ck_assert_ptr_nonnull(to);
        memcpy(to, ask->body, bytes);
    }
}

static void fill(const ask_t *ask, answer_t *answer, const char *script)
{
    ephpm_snapshot_writer_t writer;
    char name[EPHPM_FILE_NAME_BYTES];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    ephpm_job_file_name(&answer->job, "more", name);
    ephpm_snapshot_begin(&writer, ephpm_job_request(&answer->job),
                         EPHPM_REQUEST_BYTES, host.temp, name);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_METHOD,
                        ask->method ? ask->method
                                    : ask->body ? "POST" : "GET");
    ephpm_snapshot_text(&writer, EPHPM_ITEM_URI, "/uri.php");
    ephpm_snapshot_text(&writer, EPHPM_ITEM_QUERY, ask->query);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_CONTENT_TYPE, ask->type);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_COOKIES, ask->cookies);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_AUTHORIZATION,
                        ask->authorization);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_USER, ask->user);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_SCRIPT, script);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_HOST_NAME, ask->host_name);
    ephpm_snapshot_text(&writer, EPHPM_ITEM_USER_INI_ROOT,
                        ask->user_ini_root);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_PROTOCOL, 1001);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_STATUS, ask->status);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_TIME_US,
                          now.tv_sec * INT64_C(1000000)
                              + now.tv_nsec / 1000);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_STORE,
                          ask->store ? ask->store : host.kv ? 1 : 0);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_SETTINGS, ask->settings);
    ephpm_snapshot_number(&writer, EPHPM_ITEM_FLAGS, ask->flags);
    add_pairs(&writer, EPHPM_ITEM_VARIABLE, ask->pairs);
    add_pairs(&writer, EPHPM_ITEM_HEADER, ask->headers);
    for (const ephpm_setting_t *setting = ask->ini;
         setting != NULL && setting->name != NULL; setting++) {
        ephpm_snapshot_setting(&writer, setting);
    }
    add_body(&writer, ask);
    ck_assert_int_eq(ephpm_snapshot_end(&writer), 0);
    ephpm_job_submit(&answer->job, writer.bytes, script);
}

void ask_begin(const ask_t *ask, answer_t *answer)
{
    double until = host_clock() + PATIENCE_S;
    char script[256];
    ephpm_claim_t claim;

    memset(answer, 0, sizeof(*answer));
    answer->take_most = ask->slow ? 1000 : 0;
    answer->head = calloc(1, 1);
    answer->body = calloc(1, 1);
    answer->log = calloc(1, 1);
    answer->notes = calloc(1, 1);
    if (ask->script != NULL) {
        snprintf(script, sizeof(script), "%s", ask->script);
    } else {
        /* Another name each time: opcache looks at a file's time only. */
        static unsigned number;
        char name[32];

        snprintf(name, sizeof(name), "script-%u.php", number++);
        snprintf(script, sizeof(script), "%s",
                 host_script(name, ask->php));
    }
    while ((claim = ephpm_job_claim(host.jobs, &answer->job))
               != EPHPM_CLAIMED) {
        ck_assert_msg(claim == EPHPM_CLAIM_STARTING, "claim: %d", claim);
        ck_assert(host_clock() < until);
        host_sleep(10);
    }
    fill(ask, answer, script);
}

/* ------------------------------------------------------------------ */
/* Reading                                                             */

static void append(char **text, size_t *bytes, const void *data, size_t more)
{
    *text = realloc(*text, *bytes + more + 1);
    ck_assert_ptr_nonnull(*text);
    memcpy(*text + *bytes, data, more);
    *bytes += more;
    (*text)[*bytes] = '\0';
}

static void append_text(char **text, const char *more)
{
    size_t bytes = strlen(*text);

    append(text, &bytes, more, strlen(more));
}

static void add_header(void *to, int op, const char *name, const char *value)
{
    static const char *const signs[] = { "+", "=", "-", "--" };
    answer_t *answer = to;

    ck_assert_int_ge(op, 0);
    ck_assert_int_le(op, 3);
    append_text(&answer->head, signs[op]);
    append_text(&answer->head, name);
    append_text(&answer->head, ": ");
    append_text(&answer->head, value);
    append_text(&answer->head, "\n");
}

static size_t take(void *to, ephpm_frame_type_t type, const void *data,
                   size_t bytes)
{
    static const char letters[] = "?hibflne.";
    answer_t *answer = to;
    const char *text = data, *reason = NULL;
    size_t taken = bytes;
    int status;

    /* A body in pieces is one letter. */
    if (answer->frame_count + 1 < sizeof(answer->frames)
        && (type != EPHPM_FRAME_BODY || answer->frame_count == 0
            || answer->frames[answer->frame_count - 1] != 'b')) {
        answer->frames[answer->frame_count++] = letters[type];
    }
    switch (type) {
    case EPHPM_FRAME_HEAD:
    case EPHPM_FRAME_INTERIM:
        ck_assert(ephpm_head_each(data, bytes, &status, &reason, add_header,
                                  answer));
        if (type == EPHPM_FRAME_INTERIM) {
            answer->interim = status;
            append_text(&answer->head, "(interim)\n");
        } else {
            answer->status = status;
            snprintf(answer->reason, sizeof(answer->reason), "%s",
                     reason ? reason : "");
        }
        break;
    case EPHPM_FRAME_BODY:
        if (answer->take_most > 0 && taken > answer->take_most) {
            taken = answer->take_most;
        }
        append(&answer->body, &answer->body_bytes, data, taken);
        break;
    case EPHPM_FRAME_LOG:
        ck_assert_uint_ge(bytes, 1);
        {
            size_t length = strlen(answer->log);

            append(&answer->log, &length, text + 1, bytes - 1);
            append(&answer->log, &length, "\n", 1);
        }
        break;
    case EPHPM_FRAME_NOTE:
    case EPHPM_FRAME_ENV:
        append_text(&answer->notes, text);
        append_text(&answer->notes, "=");
        append_text(&answer->notes, text + strlen(text) + 1);
        append_text(&answer->notes, "\n");
        break;
    case EPHPM_FRAME_END:
        ck_assert_uint_eq(bytes, sizeof(answer->end));
        memcpy(&answer->end, data, sizeof(answer->end));
        break;
    case EPHPM_FRAME_FLUSH:
        ck_assert_uint_eq(bytes, 0);
        break;
    }
    return taken;
}

bool ask_read(answer_t *answer)
{
    answer->read = ephpm_job_read(&answer->job, take, answer);
    return answer->read != EPHPM_READ_MORE
           && answer->read != EPHPM_READ_STOPPED;
}

void ask_end(answer_t *answer)
{
    double until = host_clock() + PATIENCE_S;

    while (!ask_read(answer)) {
        if (answer->read == EPHPM_READ_STOPPED) {
            struct timespec pause = { 0, 20000 };

            nanosleep(&pause, NULL);
        } else {
            ephpm_job_wait(&answer->job, 100);
        }
        ck_assert_msg(host_clock() < until, "no end; so far: %s",
                      answer->frames);
    }
    ephpm_job_times(&answer->job, &answer->times);
    ephpm_job_release(&answer->job);
}

void ask_all(const ask_t *ask, answer_t *answer)
{
    ask_begin(ask, answer);
    ask_end(answer);
}

void answer_free(answer_t *answer)
{
    free(answer->head);
    free(answer->body);
    free(answer->log);
    free(answer->notes);
}

char *run(const char *php)
{
    ask_t ask = { .php = php };
    answer_t answer;
    char *body;

    ask_all(&ask, &answer);
    ck_assert_msg(answer.read == EPHPM_READ_END, "read: %d, log: %s",
                  answer.read, answer.log);
    body = answer.body;
    answer.body = NULL;
    answer_free(&answer);
    return body;
}

void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in: %s", part,
                  text);
}

void has_not(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "'%s' is in: %s", part, text);
}

void expect(const char *php, const char *want)
{
    char *body = run(php);

    ck_assert_msg(strcmp(body, want) == 0, "%s\nsaid: %s\nnot: %s", php, body,
                  want);
    free(body);
}
