/* ephpm_status_graph.c - up to an hour of a store, as pictures.
 *
 * A step of each graph is one period: a rate is the mean over it, so it has a
 * width and no slope.  Where there is no sample nothing is drawn but the
 * ground, in another shade.  The picture is stretched to the width there is,
 * so it has no text in it; labels are HTML.
 */

#include "ephpm_status_text.h"

#define HEIGHT 100.0
#define SERIES_MAX 3

typedef struct series {
    ephpm_figure_t figure;
    const char *name;
} series_t;

typedef struct graph {
    const char *title;
    bool rates;                 /* else the figure itself, in bytes */
    unsigned count;
    series_t series[SERIES_MAX];    /* stacked, the first one below */
} graph_t;

static const graph_t graphs[] = {
    { "Reads", true, 2,
      { { EPHPM_HITS, "hits" }, { EPHPM_MISSES, "misses" } } },
    { "Writes", true, 2,
      { { EPHPM_SETS, "set" }, { EPHPM_DELETES, "deleted" } } },
    { "Memory", false, 1, { { EPHPM_USED_BYTES, "used" } } },
    { "Keys lost, writes refused", true, 3,
      { { EPHPM_EXPIRATIONS, "expired" }, { EPHPM_EVICTIONS, "evicted" },
        { EPHPM_REJECTIONS, "refused" } } },
};

/* How far back, in periods: the least that has all there is.  A quarter of it
 * is 1, 5 or 15 minutes. */
static const unsigned windows[] = { 16, 80, EPHPM_HISTORY_SLOTS };

static unsigned window_of(const ephpm_period_t *periods)
{
    unsigned oldest = 0, w = 0;

    while (oldest < EPHPM_HISTORY_SLOTS && !periods[oldest].known) {
        oldest++;
    }
    while (windows[w] < EPHPM_HISTORY_SLOTS - oldest) {
        w++;
    }
    return windows[w];
}

static bool drawn(const graph_t *graph, const ephpm_period_t *period)
{
    return graph->rates ? period->rated : period->known;
}

/* The series and all those below it. */
static double height(const graph_t *graph, const ephpm_period_t *period,
                     unsigned upto)
{
    double sum = 0;

    for (unsigned s = 0; s <= upto; s++) {
        ephpm_figure_t figure = graph->series[s].figure;

        sum += graph->rates ? period->rates[figure]
                            : (double)period->figures[figure];
    }
    return sum;
}

/* 1, 2, 3 or 5 with noughts: the first that `value` does not exceed. */
static double round_up(double value)
{
    static const double first[] = { 1, 2, 3, 5 };
    double noughts = 1;

    while (noughts < 1e18) {
        for (unsigned i = 0; i < 4; i++) {
            if (value <= first[i] * noughts) {
                return first[i] * noughts;
            }
        }
        noughts *= 10;
    }
    return noughts;
}

static void to_height(ephpm_text_t *text, const char *command, double share)
{
    ephpm_text_raw(text, command);
    ephpm_text_decimal(text, HEIGHT * (1 - (share < 1 ? share : 1)), 1);
}

/* A step goes from the top of the series below to its own top. */
static void draw_series(ephpm_text_t *text, const graph_t *graph,
                        const ephpm_period_t *periods, unsigned from,
                        unsigned s, double top)
{
    ephpm_text_format(text, "<path class=\"s%u\" d=\"", s);
    for (unsigned i = from; i < EPHPM_HISTORY_SLOTS;) {
        unsigned first = i;

        while (i < EPHPM_HISTORY_SLOTS && drawn(graph, &periods[i])
               && height(graph, &periods[i], s) > 0) {
            if (i == first) {
                ephpm_text_format(text, "M%u", i);
            }
            to_height(text, i == first ? " " : "V",
                      height(graph, &periods[i], s) / top);
            ephpm_text_format(text, "H%u", i + 1);
            i++;
        }
        if (i == first) {
            i++;
            continue;
        }
        for (unsigned back = i; back-- > first;) {
            to_height(text, "V",
                      s > 0 ? height(graph, &periods[back], s - 1) / top : 0);
            ephpm_text_format(text, "H%u", back);
        }
        ephpm_text_raw(text, "Z");
    }
    ephpm_text_raw(text, "\"/>");
}

static void draw_gaps(ephpm_text_t *text, const graph_t *graph,
                      const ephpm_period_t *periods, unsigned from)
{
    for (unsigned i = from; i < EPHPM_HISTORY_SLOTS;) {
        unsigned first = i;

        while (i < EPHPM_HISTORY_SLOTS && !drawn(graph, &periods[i])) {
            i++;
        }
        if (i > first) {
            ephpm_text_format(text, "<rect class=\"gap\" x=\"%u\" y=\"0\" "
                              "width=\"%u\" height=\"100\"/>", first,
                              i - first);
        } else {
            i++;
        }
    }
}

static void legend(ephpm_text_t *text, const graph_t *graph,
                   const ephpm_period_t *now)
{
    ephpm_text_format(text, "<figcaption><b>%s</b>", graph->title);
    for (unsigned s = 0; s < graph->count; s++) {
        ephpm_figure_t figure = graph->series[s].figure;

        ephpm_text_format(text, "<span><i class=\"s%u\"></i>%s ", s,
                          graph->series[s].name);
        if (!drawn(graph, now)) {
            ephpm_text_raw(text, "\xe2\x80\x93");
        } else if (graph->rates) {
            ephpm_text_rate(text, now->rates[figure]);
            ephpm_text_raw(text, "/s");
        } else {
            ephpm_text_bytes(text, now->figures[figure]);
        }
        ephpm_text_raw(text, "</span>");
    }
    ephpm_text_raw(text, "</figcaption>");
}

static void draw(ephpm_text_t *text, const graph_t *graph,
                 const ephpm_store_facts_t *facts)
{
    const ephpm_period_t *periods = facts->periods;
    unsigned window = window_of(periods), from = EPHPM_HISTORY_SLOTS - window;
    unsigned minutes = window * EPHPM_HISTORY_PERIOD_S / 60;
    double highest = 0, top;

    for (unsigned i = from; i < EPHPM_HISTORY_SLOTS; i++) {
        if (drawn(graph, &periods[i])) {
            double here = height(graph, &periods[i], graph->count - 1);

            highest = here > highest ? here : highest;
        }
    }
    top = graph->rates ? round_up(highest)
                       : (double)facts->stats.limit_bytes;

    ephpm_text_raw(text, "<figure>");
    legend(text, graph, &periods[EPHPM_HISTORY_SLOTS - 1]);
    ephpm_text_raw(text, "<div class=\"plot\"><span class=\"top\">");
    if (graph->rates) {
        ephpm_text_count(text, (uint64_t)top);
        ephpm_text_raw(text, "/s");
    } else {
        ephpm_text_bytes(text, facts->stats.limit_bytes);
    }
    ephpm_text_format(text, "</span><svg viewBox=\"%u 0 %u 100\" "
                      "preserveAspectRatio=\"none\" role=\"img\" "
                      "aria-label=\"%s in the last %u minutes, at most ",
                      from, window, graph->title, minutes);
    if (graph->rates) {
        ephpm_text_rate(text, highest);
        ephpm_text_raw(text, " a second");
    } else {
        ephpm_text_bytes(text, (uint64_t)highest);
    }
    ephpm_text_raw(text, "\">");
    draw_gaps(text, graph, periods, from);
    for (unsigned s = 0; s < graph->count; s++) {
        draw_series(text, graph, periods, from, s, top);
    }
    ephpm_text_format(text, "<path class=\"grid\" d=\"M%u 50H%u", from,
                      EPHPM_HISTORY_SLOTS);
    for (unsigned quarter = 1; quarter < 4; quarter++) {
        ephpm_text_format(text, "M%u 0V100", from + window * quarter / 4);
    }
    ephpm_text_format(text, "\"/></svg></div><div class=\"axis\">"
                      "<span>%u min ago</span><span>%u</span><span>%u</span>"
                      "<span>%u</span><span>now</span></div></figure>\n",
                      minutes, minutes * 3 / 4, minutes / 2, minutes / 4);
}

void ephpm_status_graphs(ephpm_text_t *text, const ephpm_store_facts_t *facts)
{
    _Static_assert(EPHPM_HISTORY_SLOTS * EPHPM_HISTORY_PERIOD_S == 3600,
                   "the windows are an hour and parts of it");

    ephpm_text_raw(text, "<div class=\"graphs\">\n");
    for (size_t i = 0; i < sizeof(graphs) / sizeof(graphs[0]); i++) {
        draw(text, &graphs[i], facts);
    }
    ephpm_text_raw(text, "</div>\n");
}
