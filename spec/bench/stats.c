/* Counts, latencies and processor time of one run, and the line that reports them. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define ERRORS_TOLD 3

/* Steps of 2^0 up to BENCH_STEPS, then BENCH_STEPS steps for each further power of two. */
static size_t cell_of(uint64_t ns) {
  unsigned scale = 0;
  while (ns >= 2 * BENCH_STEPS && scale < BENCH_SCALES - 2) {
    ns >>= 1;
    scale++;
  }
  if (ns >= 2 * BENCH_STEPS) ns = 2 * BENCH_STEPS - 1;
  return (size_t)scale * BENCH_STEPS + (size_t)ns;
}

/* The middle of a cell, in ns. */
static double value_of(size_t cell) {
  if (cell < 2 * BENCH_STEPS) return (double)cell;
  size_t scale = cell / BENCH_STEPS - 1, step = cell % BENCH_STEPS + BENCH_STEPS;
  return ((double)step + 0.5) * (double)((uint64_t)1 << scale);
}

static double quantile(const struct bench_stats *s, double q) {
  double seen = 0;
  for (size_t i = 0; i < BENCH_SCALES * BENCH_STEPS; i++) {
    seen += s->cells[i];
    if (seen >= q * (double)s->count) return value_of(i);
  }
  return (double)s->max;
}

void bench_stats_add(struct bench_stats *s, uint64_t ns) {
  s->cells[cell_of(ns)]++;
  s->count++;
  if (ns > s->max) s->max = ns;
}

void bench_stats_error(struct bench_stats *s, const char *format, ...) {
  if (++s->errors > ERRORS_TOLD) return;
  va_list args;
  va_start(args, format);
  fputs("bench: ", stderr);
  vfprintf(stderr, format, args);
  fputs(s->errors == ERRORS_TOLD ? " (and no more of these)\n" : "\n", stderr);
  va_end(args);
}

/* Fields 14 and 15 of stat, utime and stime, counted after the name, which may hold anything. */
static uint64_t cpu_of(pid_t pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) bench_die("process %d is gone", (int)pid);
  size_t n = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[n] = '\0';
  const char *p = strrchr(text, ')');
  unsigned long user, system;
  if (p == NULL || sscanf(p + 1, "%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%lu%lu", &user, &system) != 2)
    bench_die("can't read %s", path);
  return (user + system) * (1000000u / (unsigned long)sysconf(_SC_CLK_TCK));
}

static uint64_t cpu_of_all(const pid_t *pids, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += cpu_of(pids[i]);
  return sum;
}

void bench_stats_begin(struct bench_stats *s, const pid_t *pids, size_t n) {
  uint64_t errors = s->errors;
  memset(s, 0, sizeof *s);
  s->errors = errors;
  s->cpu_begun = cpu_of_all(pids, n);
  s->begun = bench_now();
}

void bench_stats_end(struct bench_stats *s, const pid_t *pids, size_t n) {
  s->ended = bench_now();
  s->cpu_us = cpu_of_all(pids, n) - s->cpu_begun;
}

int bench_stats_print(const struct bench_stats *s) {
  double seconds = (double)(s->ended - s->begun) / 1e9, count = (double)s->count;
  printf(
      "{\"requests\":%llu,\"errors\":%llu,\"seconds\":%.3f,\"per_second\":%.1f,"
      "\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"cpu_us\":%.2f}\n",
      (unsigned long long)s->count, (unsigned long long)s->errors, seconds,
      seconds > 0 ? count / seconds : 0, quantile(s, 0.5) / 1e3, quantile(s, 0.99) / 1e3,
      (double)s->max / 1e3, s->count > 0 ? (double)s->cpu_us / count : 0);
  fflush(stdout);
  if (s->errors > 0) fprintf(stderr, "bench: %llu errors\n", (unsigned long long)s->errors);
  if (s->count == 0) fputs("bench: not one call was answered\n", stderr);
  return s->errors > 0 || s->count == 0;
}
