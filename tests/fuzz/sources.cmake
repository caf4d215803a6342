# What the fuzzers are made of; run.sh reads this list too: one path a line, from the repository's root.
set(fuzz_sources
  report/model.c
  report/view.c
  report/aggregate.c
  report/aggregate_model.c
  report/aggregate_pools.c
  report/aggregate_slabs.c
  report/aggregate_tags.c
  report/thread_name.c
  report/leaks.c
  report/suppress.c
  report/words.c
  report/text.c
  report/text_stack.c
  report/json.c
  report/profile.c
  report/profile_load.c
  report/profile_stacks.c
  src/config.c
  src/fmt.c
  src/pattern.c
  src/window.c
  tests/golden/segment_builder.c
  tests/golden/scenarios.c
)
list(TRANSFORM fuzz_sources PREPEND ${PROJECT_SOURCE_DIR}/)
