/*
 * The survey: which sites grow, which keep objects that get ever older. Pure but for survey_take; time is an
 * argument. Used by one thread at a time.
 *
 * A look at what each site holds walks over all blocks, so it is no part of a sample: it comes after one, at
 * most once per SAMPLE_MIN, and costs at most 1/SURVEY_COST of the time.
 *
 * Bounded: only SURVEY_SITES sites have a series, of all others one number is kept, what they held when they
 * were last judged. Who has grown most since gets the place of one that has had a whole series and does
 * not grow. So a leak that is small among 100,000 sites has its turn, and a large cache gives way.
 */
#ifndef REPORT_SURVEY_H
#define REPORT_SURVEY_H

#include "aggregate.h"
#include "alert.h"
#include "trend.h"

#define SURVEY_SITES 64
#define SURVEY_COST 50
#define SURVEY_RATE 16.0   /* bytes per second that are worth an alert: 1.3 MiB a day */
#define SURVEY_BYTES 65536.0 /* and that it must have made: a program that warms up is not yet of interest */
#define SURVEY_RISES 3     /* new highs of old objects that are */

struct survey_site {
    uint32_t site;
    double bytes, oldest_s; /* now */
    double since_s;         /* when its series began */
    struct trend trend;
    struct trend_verdict verdict;
    /* Objects older than LEAK_AGE: their highest number, with how many objects in all, when that was, and how
       many such highs there have been with no longer than LEAK_AGE between them. */
    double old_most, objects_most, risen_s;
    unsigned rises;
    bool ages;              /* they keep becoming more */
    char *name;             /* malloc'ed; NULL: not asked for yet */
};

struct survey {
    struct survey_site *sites; /* at most SURVEY_SITES */
    size_t count, room;
    float *judged;             /* by site: bytes when it was last judged, or first seen */
    uint8_t *place;            /* by site: index into sites + 1; 0: no series */
    size_t known;              /* elements of both */
    double before_s;           /* the last one's time; 0: none */
    double next_s, cost_s;     /* not before; what the last walk took */
};

void survey_fini(struct survey *survey);

/* One look at `now_s`: `sites` by number, as aggregate_sites() has them. */
void survey_add(struct survey *survey, const struct aggregate_site *sites, uint64_t count, double now_s,
                double leak_age_s);

/* Walks, if it is time; false: it was not. The view has been refreshed. */
bool survey_take(struct survey *survey, const struct view *view, double now_s, double least_s);

/* The readings of growth and leak_age. A site that has no name yet is its number. */
size_t survey_readings(const struct survey *survey, double leak_age_s, struct alert_reading *out);
#define SURVEY_READINGS (2 * SURVEY_SITES)

/* Those that an alert may tell of and that have no name: how many. Names are given once, by site_name.h. */
size_t survey_unnamed(const struct survey *survey, uint32_t sites[SURVEY_SITES]);
void survey_name(struct survey *survey, uint32_t site, const char *name);

/* Those that grow: how many. */
size_t survey_growth(const struct survey *survey, struct model_growth growth[SURVEY_SITES]);

#endif
