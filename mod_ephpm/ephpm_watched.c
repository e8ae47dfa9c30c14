/* ephpm_watched.c - a process beside httpd's children, in the parent: started,
 * watched, started anew when it dies, dismissed when its cycle is over.
 *
 *      start --fork--> run()           of this cycle
 *        ^               |
 *        |             death           at once, or after a pause
 *        '---------------'
 *      dismiss --SIGQUIT--> those of the cycles before, which leave when
 *                           their work is done
 *
 * The parent knows a process by its id, which nobody else can get before the
 * parent has asked for its end, and those of earlier cycles from httpd's
 * retained data: the module is unloaded at a restart.  pconf's clean-up never
 * ends one but when httpd itself ends.
 */

#include "mod_ephpm.h"

#include <ap_mpm.h>
#include <apr_thread_proc.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

APLOG_USE_MODULE(ephpm);

#define EARLY apr_time_from_sec(5)
#define PAUSE_MAX_S 32u

/* Their layout is part of ephpm_watched_t's retained_key. */
struct ephpm_watched_place {
    struct ephpm_watched_place *next;
    apr_proc_t process;
    int alive;
    ephpm_watched_t *watched;   /* set anew by each cycle */
};

typedef struct ephpm_watched_place place_t;

typedef struct kept {
    place_t *first;
} kept_t;

static int start(ephpm_watched_t *watched);

static kept_t *retained(const ephpm_watched_t *watched)
{
    kept_t *kept = ap_retained_data_get(watched->retained_key);

    return kept ? kept : ap_retained_data_create(watched->retained_key,
                                                 sizeof(*kept));
}

static place_t *free_place(const ephpm_watched_t *watched)
{
    kept_t *kept = retained(watched);
    place_t *place = kept->first;

    while (place != NULL && place->alive) {
        place = place->next;
    }
    if (place == NULL) {
        place = apr_pcalloc(ephpm_main_server->process->pool, sizeof(*place));
        place->next = kept->first;
        kept->first = place;
    }
    return place;
}

/* pconf is cleared: at a restart the next cycle sees to it. */
static void at_end(const place_t *place)
{
    if (place->alive && getpid() == place->watched->parent
        && ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING) {
        kill(place->process.pid, SIGTERM);
        /* Somebody may have stopped it. */
        kill(place->process.pid, SIGCONT);
    }
}

static bool is_stopping(void)
{
    int state;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
           && state == AP_MPMQ_STOPPING;
}

/* So that one that dies as it begins is not all that the parent sees to. */
static unsigned pause_of(const ephpm_watched_t *watched)
{
    unsigned pause_s = 1;

    if (watched->early_deaths <= watched->deaths_at_once) {
        return 0;
    }
    for (unsigned i = watched->deaths_at_once + 1;
         i < watched->early_deaths && pause_s < PAUSE_MAX_S; i++) {
        pause_s *= 2;
    }
    return pause_s;
}

/* Of the cycles before, too: so that httpd does not wonder who that was. */
static void event(int reason, void *data, apr_wait_t status)
{
    place_t *place = data;
    ephpm_watched_t *watched = place->watched;
    unsigned pause_s;

    if (reason == APR_OC_REASON_UNREGISTER) {
        at_end(place);
        return;
    }
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    place->alive = 0;
    apr_proc_other_child_unregister(place);
    if (place != watched->place || is_stopping()) {
        return;
    }
    if (apr_time_now() - watched->started_at > EARLY
        || (WIFSIGNALED(status) && !watched->signals_count)) {
        watched->early_deaths = 0;
    } else {
        watched->early_deaths++;
    }
    pause_s = pause_of(watched);
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ephpm_main_server,
        WIFSIGNALED(status)
            ? "%s (pid %d) was ended by signal %d; another one starts%s"
            : "%s (pid %d) ended with status %d; another one starts%s",
        watched->name, (int)place->process.pid,
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
        pause_s ? apr_psprintf(watched->pconf, " in %u s", pause_s) : "");
    start(watched);
}

static void watch(ephpm_watched_t *watched, place_t *place)
{
    place->watched = watched;
    apr_proc_other_child_register(&place->process, event, place, NULL,
                                  watched->pconf);
}

static int start(ephpm_watched_t *watched)
{
    unsigned pause_s = pause_of(watched);
    place_t *place = free_place(watched);
    apr_status_t status = apr_proc_fork(&place->process, watched->pconf);

    if (status == APR_INCHILD) {
        watched->run(watched->pconf, ephpm_main_server, watched->parent,
                     pause_s);
        _exit(EXIT_FAILURE);
    }
    if (status != APR_INPARENT) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, status, ephpm_main_server,
                     "%s cannot be forked", watched->name);
        watched->missing = true;
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    place->alive = 1;
    watched->missing = false;
    watched->place = place;
    watched->started_at = apr_time_now() + apr_time_from_sec(pause_s);
    watch(watched, place);
    return OK;
}

void ephpm_watched_begin(ephpm_watched_t *watched, apr_pool_t *pconf)
{
    watched->place = NULL;
    watched->pconf = pconf;
    watched->parent = getpid();
    watched->early_deaths = 0;
    watched->missing = false;
}

void ephpm_watched_look(ephpm_watched_t *watched)
{
    if (watched->missing && getpid() == watched->parent && !is_stopping()) {
        start(watched);
    }
}

int ephpm_watched_start(ephpm_watched_t *watched)
{
    return start(watched);
}

void ephpm_watched_dismiss(ephpm_watched_t *watched)
{
    for (place_t *old = retained(watched)->first; old != NULL;
         old = old->next) {
        if (old->alive && old != watched->place) {
            watch(watched, old);
            kill(old->process.pid, SIGQUIT);
        }
    }
}
