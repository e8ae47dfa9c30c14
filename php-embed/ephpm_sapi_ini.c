/* ephpm_sapi_ini.c - settings of one request: applied, refused, looked for.
 *
 * Where a setting may come from, the later over the earlier, but nothing over
 * the administrator's:
 *
 *      php.ini, and its sections [HOST=] and [PATH=]     (user_ini)
 *      the server's configuration                        ephpm_request_t.ini
 *      .user.ini files, the outermost directory first    (user_ini)
 *      the script: ini_set()
 */

#include "ephpm_sapi_private.h"

#include <php_ini.h>
#include <SAPI.h>

#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* Directories whose .user.ini files are remembered, and complaints. */
#define REMEMBERED_MAX 1000

/* ------------------------------------------------------------------ */
/* What is refused                                                     */

static HashTable *told;     /* what the log has been told, by place and name */

/* Once a process: a site's .htaccess is read for every request. */
static bool first_time(const ephpm_ini_t *ini)
{
    size_t place = strlen(ini->file);
    char *key;
    bool first;

    if (ini->line == 0) {
        const char *slash = strrchr(ini->file, '/');

        place = slash ? (size_t)(slash - ini->file) : place;
    }
    if (told == NULL) {
        told = pemalloc(sizeof(*told), 1);
        zend_hash_init(told, 8, NULL, NULL, 1);
    }
    if (zend_hash_num_elements(told) >= REMEMBERED_MAX) {
        return false;
    }
    spprintf(&key, 0, "%s %d %.*s", ini->name, ini->line, (int)place,
             ini->file);
    first = zend_hash_str_add_empty_element(told, key, strlen(key)) != NULL;
    efree(key);
    return first;
}

static void complain(const ephpm_ini_t *ini, const char *why)
{
    char *message;

    if (ini->file == NULL || !first_time(ini)) {
        return;
    }
    if (ini->line > 0) {
        spprintf(&message, 0, "%s:%d: %s = '%s' is ignored: %s", ini->file,
                 ini->line, ini->name, ini->value, why);
    } else {
        spprintf(&message, 0, "%s for %s: %s = '%s' is ignored: %s",
                 PG(user_ini_filename), ini->file, ini->name, ini->value, why);
    }
    ephpm_server->log(SG(server_context), LOG_WARNING, message);
    efree(message);
}

/* PHP takes them at any time, shows them, and obeys them when it starts: who
 * relies on one is to hear that it does nothing. */
static bool only_at_start(const ephpm_ini_t *ini)
{
    if (strcmp(ini->name, "disable_functions") != 0
        && strcmp(ini->name, "disable_classes") != 0) {
        return false;
    }
    complain(ini, "PHP obeys it in php.ini alone, for all sites");
    return true;
}

bool ephpm_ini_check(const ephpm_ini_t *ini)
{
    const zend_ini_entry *entry =
        zend_hash_str_find_ptr(EG(ini_directives), ini->name,
                               strlen(ini->name));
    int allowed;

    if (only_at_start(ini)) {
        return false;
    }
    if (entry == NULL) {
        complain(ini, "this PHP has no such setting (is it spelled so, and "
                      "the extension loaded?)");
        return false;
    }
    /* What it is now may be the administrator's lock. */
    allowed = entry->modified ? entry->orig_modifiable : entry->modifiable;
    if (!ini->admin && !(allowed & PHP_INI_PERDIR)) {
        complain(ini, allowed & PHP_INI_SYSTEM
            ? "it is the administrator's: set it with php_admin_value or in "
              "php.ini"
            : "only a script can set it, with ini_set()");
        return false;
    }
    return true;
}

void ephpm_ini_apply(const ephpm_ini_t *ini)
{
    int type = ini->admin ? PHP_INI_SYSTEM : PHP_INI_PERDIR;
    zend_string *name;

    if (only_at_start(ini)) {
        return;
    }
    name = zend_string_init(ini->name, strlen(ini->name), 0);

    /* The stage of a .htaccess file makes PHP check what it lets a script
     * only tighten, as open_basedir. */
    if (zend_alter_ini_entry_chars(name, ini->value, strlen(ini->value), type,
                                   ini->htaccess ? PHP_INI_STAGE_HTACCESS
                                                 : PHP_INI_STAGE_ACTIVATE)
            != SUCCESS && ephpm_ini_check(ini)) {
        const zend_ini_entry *entry = zend_hash_find_ptr(EG(ini_directives),
                                                         name);

        /* That the administrator's stays is as it should be. */
        if (entry->modifiable & type) {
            complain(ini, "PHP does not take this value");
        }
    }
    zend_string_release(name);
}

/* ------------------------------------------------------------------ */
/* .user.ini                                                           */

typedef struct user_ini {
    HashTable settings;
    time_t until;           /* when the files are looked at again */
} user_ini_t;

static HashTable *remembered;       /* user_ini_t, by the script's directory */

static void user_ini_free(zval *element)
{
    user_ini_t *found = Z_PTR_P(element);

    zend_hash_destroy(&found->settings);
    pefree(found, 1);
}

static void read_file(const char *directory, size_t length, HashTable *to)
{
    char *path, *name, *message;

    spprintf(&path, 0, "%.*s", (int)length, directory);
    spprintf(&name, 0, "%s/%s", path, PG(user_ini_filename));
    /* A syntax error goes to stderr by itself, which is the server's log. */
    if (access(name, F_OK) == 0
        && php_parse_user_ini_file(path, PG(user_ini_filename), to)
               != SUCCESS) {
        spprintf(&message, 0, "%s cannot be read as a whole: its settings up "
                 "to the fault hold", name);
        ephpm_server->log(SG(server_context), LOG_WARNING, message);
        efree(message);
    }
    efree(name);
    efree(path);
}

/* Every directory from `root` to the script's; of a script that is elsewhere
 * its own directory alone. */
static void read_files(const char *root, const char *directory, size_t length,
                       HashTable *to)
{
    size_t begin = strlen(root);

    while (begin > 0 && root[begin - 1] == '/') {
        begin--;
    }
    if (begin >= length || strncmp(root, directory, begin) != 0
        || directory[begin] != '/') {
        read_file(directory, length, to);
        return;
    }
    for (size_t end = begin; end < length; end++) {
        if (directory[end] == '/') {
            read_file(directory, end, to);
        }
    }
    read_file(directory, length, to);
}

static user_ini_t *user_ini_of(const char *root, const char *script)
{
    const char *slash = strrchr(script, '/');
    size_t length = slash ? (size_t)(slash - script) : 0;
    user_ini_t *found;
    time_t now = time(NULL);

    if (length == 0 || PG(user_ini_filename) == NULL
        || *PG(user_ini_filename) == '\0') {
        return NULL;
    }
    if (remembered == NULL) {
        remembered = pemalloc(sizeof(*remembered), 1);
        zend_hash_init(remembered, 8, NULL, user_ini_free, 1);
    }
    found = zend_hash_str_find_ptr(remembered, script, length);
    if (found != NULL && now < found->until) {
        return found;
    }
    if (found == NULL) {
        if (zend_hash_num_elements(remembered) >= REMEMBERED_MAX) {
            zend_hash_clean(remembered);
        }
        found = pemalloc(sizeof(*found), 1);
        zend_hash_init(&found->settings, 8, NULL, config_zval_dtor, 1);
        zend_hash_str_add_new_ptr(remembered, script, length, found);
    }
    zend_hash_clean(&found->settings);
    read_files(root, script, length, &found->settings);
    found->until = now + PG(user_ini_cache_ttl);
    return found;
}

void ephpm_user_ini_each(const char *root, const char *script,
                         ephpm_pair_fn pass, void *to)
{
    user_ini_t *volatile found = NULL;
    zend_string *name;
    zval *value;

    /* A file may need more than memory_limit, and PHP would jump. */
    zend_try {
        found = user_ini_of(root, script);
    } zend_end_try();
    if (found == NULL) {
        return;
    }
    ZEND_HASH_FOREACH_STR_KEY_VAL(&found->settings, name, value) {
        if (name != NULL && Z_TYPE_P(value) == IS_STRING) {
            pass(to, ZSTR_VAL(name), Z_STRVAL_P(value));
        }
    } ZEND_HASH_FOREACH_END();
}

/* Sections of php.ini. */
void ephpm_ini_sections(const ephpm_request_t *request)
{
    const char *slash = strrchr(request->script, '/');

    if (php_ini_has_per_dir_config() && slash != NULL) {
        /* PHP ends the string at each slash in turn. */
        size_t length = (size_t)(slash - request->script) + 1;
        char *path = estrndup(request->script, length);

        php_ini_activate_per_dir_config(path, length);
        efree(path);
    }
    if (php_ini_has_per_host_config()) {
        char *host = estrdup(request->host_name);

        zend_str_tolower(host, strlen(host));
        php_ini_activate_per_host_config(host, strlen(host));
        efree(host);
    }
}

void ephpm_ini_forget(void)
{
    HashTable **tables[] = { &told, &remembered };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (*tables[i] != NULL) {
            zend_hash_destroy(*tables[i]);
            pefree(*tables[i], 1);
            *tables[i] = NULL;
        }
    }
}
