/* ephpm_resp.c - EphpmResp: its lines, their check, their listeners.
 *
 * The listeners outlive the module's code, as stores do: a list of them is in
 * httpd's retained data.  The parent may be root, and the folder of a socket
 * file somebody else's: what is done to the file goes by a descriptor of it,
 * after a look at what it is.
 */

#include "ephpm_resp.h"

#include <ap_mpm.h>
#include <unixd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

APLOG_USE_MODULE(ephpm);

#define DEFAULT_MODE 0660
/* What a client may send before it is known (resp/). */
#define PASSWORD_MAX_BYTES 4096
/* With a line's end, and one more to see that there are too many. */
#define PASSWORD_ROOM_BYTES (PASSWORD_MAX_BYTES + 3)

/* ------------------------------------------------------------------ */
/* The directive                                                       */

apr_array_header_t *ephpm_resp_lines(apr_pool_t *pconf)
{
    return apr_array_make(pconf, 2, sizeof(ephpm_resp_line_t));
}

static apr_status_t wipe(void *password)
{
    explicit_bzero(password, PASSWORD_ROOM_BYTES);
    return APR_SUCCESS;
}

static const char *read_password(apr_pool_t *pool, const char *path,
                                 ephpm_resp_line_t *line)
{
    const size_t room = PASSWORD_ROOM_BYTES;
    /* Whatever it is, a reader of it is not to wait. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat file;
    const char *end;
    size_t length = 0;
    ssize_t got = -1;

    if (fd < 0 || fstat(fd, &file) != 0) {
        const char *why = strerror(errno);

        if (fd >= 0) {
            close(fd);
        }
        return apr_psprintf(pool, "password-file=%s cannot be read: %s",
                            path, why);
    }
    if (!S_ISREG(file.st_mode)) {
        close(fd);
        return apr_psprintf(pool, "password-file=%s is no file", path);
    }
    line->password = apr_pcalloc(pool, room);
    apr_pool_cleanup_register(pool, line->password, wipe,
                              apr_pool_cleanup_null);
    while (length < room
           && (got = read(fd, line->password + length, room - length)) > 0) {
        length += (size_t)got;
    }
    close(fd);
    if (got < 0) {
        return apr_psprintf(pool, "password-file=%s cannot be read: %s",
                            path, strerror(errno));
    }
    end = memchr(line->password, '\n', length);
    if (end != NULL) {
        length = (size_t)(end - line->password);
        if (length > 0 && end[-1] == '\r') {
            length--;
        }
    }
    if (length == 0) {
        return apr_psprintf(pool,
            "password-file=%s is empty: write the password into it, or leave "
            "the option out", path);
    }
    if (length > PASSWORD_MAX_BYTES) {
        return apr_psprintf(pool,
            "password-file=%s has more than %d bytes: is it the right file?",
            path, PASSWORD_MAX_BYTES);
    }
    line->password_bytes = length;
    return NULL;
}

static const char *take_mode(apr_pool_t *pool, const char *text, mode_t *mode)
{
    char *end;
    unsigned long value = strtoul(text, &end, 8);

    if (*text < '0' || *text > '7' || *end != '\0' || value > 0777) {
        return apr_psprintf(pool,
            "mode=%s is no file mode: write it as mode=0660", text);
    }
    *mode = (mode_t)value;
    return NULL;
}

/* @return what is wrong, or NULL */
static const char *take_options(cmd_parms *cmd, int count, char *const given[],
                                ephpm_resp_line_t *line)
{
    static const char *const names[] = { "store=", "password-file=", "mode=" };
    enum { STORE, PASSWORD_FILE, MODE, NAMES };
    const char *values[NAMES] = { NULL };

    for (int i = 0; i < count; i++) {
        int name = 0;

        while (name < NAMES
               && strncmp(given[i], names[name], strlen(names[name])) != 0) {
            name++;
        }
        if (name == NAMES) {
            return apr_psprintf(cmd->pool,
                "'%s' is no option: there are store=NAME, password-file=PATH "
                "and, of a unix: address, mode=0660", given[i]);
        }
        if (values[name] != NULL) {
            return apr_psprintf(cmd->pool, "%s is there twice", names[name]);
        }
        values[name] = given[i] + strlen(names[name]);
    }
    if (values[STORE] != NULL) {
        line->store_name = values[STORE];
    }
    if (values[MODE] != NULL) {
        const char *wrong = take_mode(cmd->pool, values[MODE], &line->mode);

        if (wrong != NULL) {
            return wrong;
        }
        if (strncmp(line->address, "unix:", 5) != 0) {
            return "mode= is for addresses that are unix:/path";
        }
    }
    if (values[PASSWORD_FILE] != NULL) {
        const char *path = ap_server_root_relative(cmd->pool,
                                                   values[PASSWORD_FILE]);

        return read_password(cmd->pool, path ? path : "", line);
    }
    return NULL;
}

/* @return the file's path, or NULL: the address is another */
static const char *file_of(const char *address)
{
    return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

/* Where the socket is to be; its path begins with a slash. */
static const char *folder_of(apr_pool_t *pool, const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? "/"
           : apr_pstrmemdup(pool, path, (apr_size_t)(slash - path));
}

const char *ephpm_resp_directive(cmd_parms *cmd, void *unused, int argc,
                                 char *const argv[])
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const char *path, *folder;
    struct stat status;
    char canonical[RESP_ADDRESS_BYTES];
    char error[512];
    ephpm_resp_line_t line = {
        .store_name = "default", .store = -1, .mode = DEFAULT_MODE,
        .listener = -1
    };

    (void)unused;
    if (wrong != NULL) {
        return wrong;
    }
    if (argc < 1) {
        return "EphpmResp takes an address: EphpmResp 127.0.0.1:6380 "
               "store=default";
    }
    line.address = argv[0];
    line.where = apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename,
                              cmd->directive->line_num);
    wrong = take_options(cmd, argc - 1, argv + 1, &line);
    if (wrong != NULL) {
        return apr_psprintf(cmd->pool, "EphpmResp %s: %s", line.address,
                            wrong);
    }
    if (!resp_address_check(line.address, line.password != NULL, canonical,
                            error, sizeof(error))) {
        return apr_psprintf(cmd->pool, "EphpmResp %s%s", error,
            line.password == NULL && strstr(error, "has no password") != NULL
                ? " (password-file=PATH)" : "");
    }
    path = file_of(canonical);
    if (path != NULL && path[0] != '/') {
        return apr_psprintf(cmd->pool,
            "EphpmResp %s: name the socket by its whole path, as "
            "unix:/run/ephpm.sock", line.address);
    }
    folder = path ? folder_of(cmd->pool, path) : NULL;
    if (folder != NULL && (stat(folder, &status) != 0
                           || !S_ISDIR(status.st_mode))) {
        return apr_psprintf(cmd->pool,
            "EphpmResp %s: there is no folder %s: make it first (as root: "
            "install -d -m 0755 %s), at each boot if it is under /run",
            line.address, folder, folder);
    }
    line.address = apr_pstrdup(cmd->pool, canonical);
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        if (strcmp(EPHPM_RESP_LINE(i)->address, line.address) == 0) {
            return apr_psprintf(cmd->pool,
                "EphpmResp %s: the address is taken already (%s): one serves "
                "one store", argv[0], EPHPM_RESP_LINE(i)->where);
        }
    }
    APR_ARRAY_PUSH(ephpm_settings.resp, ephpm_resp_line_t) = line;
    return NULL;
}

bool ephpm_resp_check(server_rec *server)
{
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        ephpm_resp_line_t *line = EPHPM_RESP_LINE(i);

        line->store = ephpm_store_index(line->store_name);
        if (line->store < 0) {
            ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
                "%s: EphpmResp %s names the store '%s', which no EphpmStore "
                "makes: add 'EphpmStore %s 256M', or correct store=",
                line->where, line->address, line->store_name,
                line->store_name);
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ */
/* Listeners, in the parent                                            */

/* Changes with the structure below. */
#define RETAINED_KEY "mod_ephpm resp listeners 1"

typedef struct kept_listener {
    struct kept_listener *next;
    char address[RESP_ADDRESS_BYTES];
    int fd;                     /* -1: it is lost, or this place is free */
    int lost;                   /* it was open, and something else has its
                                 * file's place */
    int wanted;                 /* by the configuration of this pass */
    dev_t device;               /* of a socket file */
    ino_t inode;
} kept_listener_t;

typedef struct kept {
    kept_listener_t *first;
} kept_t;

static pid_t made_by;

static kept_t *retained(void)
{
    kept_t *kept = ap_retained_data_get(RETAINED_KEY);

    return kept ? kept : ap_retained_data_create(RETAINED_KEY, sizeof(*kept));
}

static bool file_is_ours(const kept_listener_t *kept)
{
    struct stat file;

    return lstat(file_of(kept->address), &file) == 0
        && file.st_dev == kept->device && file.st_ino == kept->inode;
}

/* Others may have the socket: shut down it is closed to everybody at once. */
static void close_listener(kept_listener_t *kept)
{
    shutdown(kept->fd, SHUT_RDWR);
    if (file_of(kept->address) != NULL && file_is_ours(kept)) {
        unlink(file_of(kept->address));
    }
    close(kept->fd);
    kept->fd = -1;
}

static kept_listener_t *find_listener(kept_t *kept, const char *address)
{
    kept_listener_t *found = kept->first;

    while (found != NULL
           && ((found->fd < 0 && !found->lost)
               || strcmp(found->address, address) != 0)) {
        found = found->next;
    }
    return found;
}

static kept_listener_t *free_place(kept_t *kept, apr_pool_t *pool)
{
    kept_listener_t *place = kept->first;

    while (place != NULL && (place->fd >= 0 || place->lost)) {
        place = place->next;
    }
    if (place == NULL) {
        place = apr_pcalloc(pool, sizeof(*place));
        place->fd = -1;
        place->next = kept->first;
        kept->first = place;
    }
    return place;
}

/* What a socket file is, and whose.  It belongs to the server's User, as the
 * processes that run scripts do. */
static bool set_access(kept_listener_t *kept, mode_t mode)
{
    int fd = open(file_of(kept->address),
                  O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool is_new = kept->inode == 0;
    char path[32];
    struct stat file;
    bool done;

    done = fd >= 0 && fstat(fd, &file) == 0;
    if (done && (!S_ISSOCK(file.st_mode)
                 || (is_new ? file.st_uid != geteuid() || file.st_nlink != 1
                            : file.st_dev != kept->device
                              || file.st_ino != kept->inode))) {
        errno = ESTALE;
        done = false;
    }
    if (done && (file.st_mode & 0777) != mode) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        done = chmod(path, mode) == 0;
    }
    if (done && geteuid() == 0) {
        done = fchownat(fd, "", ap_unixd_config.user_id,
                        ap_unixd_config.group_id, AT_EMPTY_PATH) == 0;
    }
    if (done) {
        kept->device = file.st_dev;
        kept->inode = file.st_ino;
    }
    if (fd >= 0) {
        int error = errno;

        close(fd);
        errno = error;
    }
    return done;
}

/* Whoever owns the folder of a socket, maybe a script, can put something else
 * in its place before a restart; that must not end the server. */
static int unopened(server_rec *server, const ephpm_resp_line_t *line,
                    bool was_open, const char *error)
{
    ap_log_error(APLOG_MARK, was_open ? APLOG_ERR : APLOG_EMERG, 0, server,
                 "%s: EphpmResp %s%s", line->where, error,
                 was_open ? "; its file was replaced while the server ran, "
                            "and clients are not served there" : "");
    return was_open ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

static int open_line(kept_t *kept, server_rec *server,
                     ephpm_resp_line_t *line)
{
    kept_listener_t *found = find_listener(kept, line->address);
    bool was_open = found != NULL;
    char error[512];

    if (found == NULL || found->lost) {
        int fd = resp_listen(line->address, line->mode,
                             line->password != NULL, error, sizeof(error));

        if (fd < 0) {
            return unopened(server, line, was_open, error);
        }
        if (found == NULL) {
            found = free_place(kept, server->process->pool);
        }
        apr_cpystrn(found->address, line->address, sizeof(found->address));
        found->fd = fd;
        found->lost = 0;
        found->inode = 0;
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, server,
                     "EphpmResp %s is open", line->address);
    }
    if (file_of(line->address) != NULL && !set_access(found, line->mode)) {
        snprintf(error, sizeof(error), "%s: the file's mode and owner cannot "
                 "be set: %s", line->address, strerror(errno));
        close_listener(found);
        found->lost = was_open;
        return unopened(server, line, was_open, error);
    }
    line->listener = found->fd;
    return OK;
}

/* At the end; at a restart they stay. */
static apr_status_t close_all(void *unused)
{
    (void)unused;
    if (getpid() != made_by
        || ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_EXITING) {
        return APR_SUCCESS;
    }
    for (kept_listener_t *kept = retained()->first; kept != NULL;
         kept = kept->next) {
        if (kept->fd >= 0) {
            close_listener(kept);
        }
    }
    return APR_SUCCESS;
}

/* Those that go before those that come: 127.0.0.1:6380 may become
 * 0.0.0.0:6380. */
static void close_unwanted(kept_t *kept, server_rec *server)
{
    for (kept_listener_t *each = kept->first; each != NULL;
         each = each->next) {
        each->wanted = 0;
    }
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        kept_listener_t *found = find_listener(kept,
                                               EPHPM_RESP_LINE(i)->address);

        if (found == NULL) {
            continue;
        }
        found->wanted = 1;
        if (!found->lost && file_of(found->address) != NULL
            && !file_is_ours(found)) {
            close_listener(found);
            found->lost = 1;
        }
    }
    for (kept_listener_t *each = kept->first; each != NULL;
         each = each->next) {
        if (each->fd >= 0 && !each->wanted) {
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, server,
                         "EphpmResp %s is closed", each->address);
            close_listener(each);
        }
        each->lost = each->lost && each->wanted;
    }
}

int ephpm_resp_open(apr_pool_t *pconf, server_rec *server)
{
    kept_t *kept = retained();

    made_by = getpid();
    apr_pool_cleanup_register(pconf, NULL, close_all, apr_pool_cleanup_null);
    close_unwanted(kept, server);
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        int opened = open_line(kept, server, EPHPM_RESP_LINE(i));

        if (opened != OK) {
            return opened;
        }
    }
    return OK;
}

/* ------------------------------------------------------------------ */
/* Elsewhere                                                           */

void ephpm_resp_forget(void)
{
    for (int i = 0; i < ephpm_settings.resp->nelts; i++) {
        ephpm_resp_line_t *line = EPHPM_RESP_LINE(i);

        line->listener = -1;
        if (line->password != NULL) {
            wipe(line->password);
        }
    }
    for (kept_listener_t *kept = retained()->first; kept != NULL;
         kept = kept->next) {
        if (kept->fd >= 0) {
            close(kept->fd);
            kept->fd = -1;
        }
    }
}
