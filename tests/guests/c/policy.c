/* A policy in C against docs/abi.md, without an SDK or a C library.
 *
 * Eight running or waiting requests a replica; up at once, down by one replica a decision. The last answer is kept as
 * state, four bytes. Built by:
 *
 *   clang-19 --target=wasm32 -O2 -nostdlib -ffreestanding -Wl,--no-entry -o policy.wasm policy.c
 *
 * The structs have the layout of the records because the C ABI of wasm32 agrees with the canonical ABI on all of them:
 * the same sizes, the same alignment, fields in order.
 */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(name)))

typedef struct { const char *text; u32 length; } string;
#define LIST(type) struct { const type *items; u32 count; }
#define OPTION(type) struct { u8 is_some; type value; }
#define TEXT(literal) ((string){literal, sizeof(literal) - 1})

typedef LIST(u8) bytes;
typedef struct { string name, value; } label;
typedef struct { string name; double value; } fact;

typedef struct {
  string signal;
  LIST(label) labels;
  u64 step;
  LIST(double) values;
  u64 age;
  double coverage;
} series;

typedef struct {
  string name;
  u32 min, max, desired, ready, starting, draining, standby, headroom;
  LIST(u64) ready_at;
  OPTION(u32) obtainable;
  LIST(fact) facts;
  LIST(label) attributes;
} pool;

typedef struct { string pool, tier; u32 replicas; } target;

typedef struct {
  u64 now, interval;
  string workload;
  LIST(pool) pools;
  LIST(series) series;
  LIST(target) proposed;
  LIST(fact) facts;
  LIST(label) attributes;
} observation;

typedef struct { string config; observation seen; bytes state; } decide_arguments;

typedef struct {
  LIST(target) targets;
  string reason;
  LIST(label) notes;
  OPTION(bytes) state;
  OPTION(u64) recheck;
} decision;

typedef struct {
  string signal;
  LIST(string) by;
  string within, across;
  u64 step, window;
  u8 required;
} metric_need;

typedef struct { LIST(metric_need) needs; LIST(label) attributes; } preparation;
typedef struct { string path, message; } issue;
typedef struct { string code, message; LIST(issue) issues; } policy_error;

typedef struct {
  string name, version, summary, config_schema;
  u32 state_version;
  LIST(label) attributes;
} description;

typedef struct { u8 is_error; union { preparation ok; policy_error error; }; } prepare_result;
typedef struct { u8 is_error; union { decision ok; policy_error error; }; } decide_result;

_Static_assert(sizeof(series) == 48 && sizeof(pool) == 72 && sizeof(target) == 20, "layout");
_Static_assert(sizeof(observation) == 64 && sizeof(decide_arguments) == 80, "layout");
_Static_assert(sizeof(decision) == 56 && sizeof(metric_need) == 56 && sizeof(description) == 44, "layout");
_Static_assert(sizeof(prepare_result) == 28 && sizeof(decide_result) == 64, "layout");

__attribute__((import_module("trimtab:policy/log@0.1.0"), import_name("write")))
extern void log_write(u32 level, const char *text, u32 bytes);
enum { DEBUG, INFO, WARN, ERROR };

/* Memory behind the static data, given out once: each call has a fresh instance. */
extern u8 __heap_base;
static u32 next;

EXPORT("cabi_realloc")
void *cabi_realloc(void *old, u32 old_bytes, u32 align, u32 bytes) {
  (void)old, (void)old_bytes; /* the host never moves a block */
  if (next == 0) next = (u32)&__heap_base;
  u32 start = (next + align - 1) & -align;
  next = start + bytes;
  u32 have = __builtin_wasm_memory_size(0) << 16;
  if (next > have && __builtin_wasm_memory_grow(0, (next - have + 65535) >> 16) == (u32)-1) __builtin_trap();
  return (void *)start;
}

EXPORT("trimtab:policy/policy@0.1.0#describe")
const description *describe(void) {
  static description who;
  who.name = TEXT("plain-c");
  who.version = TEXT("0.1.0");
  who.summary = TEXT("Eight requests a replica; down by one at a time.");
  who.config_schema = TEXT("{\"type\":\"object\",\"additionalProperties\":false}");
  who.state_version = 1;
  return &who;
}

EXPORT("trimtab:policy/policy@0.1.0#prepare")
const prepare_result *prepare(const char *config, u32 length) {
  (void)config, (void)length; /* the host has checked it against the schema, which allows nothing */
  static metric_need needs[2];
  static prepare_result result;
  needs[0].signal = TEXT("active-sequences");
  needs[1].signal = TEXT("queue-depth");
  needs[0].required = needs[1].required = 1;
  result.ok.needs.items = needs;
  result.ok.needs.count = 2;
  return &result;
}

EXPORT("trimtab:policy/policy@0.1.0#decide")
const decide_result *decide(const decide_arguments *in) {
  static decide_result result;
  static target only;
  static u8 state[4];

  /* One series for each need: neither asks for labels. */
  double requests = 0;
  for (u32 i = 0; i < 2; i++) {
    const series *one = i < in->seen.series.count ? &in->seen.series.items[i] : 0;
    double value = one && one->values.count ? one->values.items[one->values.count - 1] : __builtin_nan("");
    if (value != value) {
      result.is_error = 1;
      result.error.code = TEXT("missing-metric");
      result.error.message = TEXT("no fresh value of active-sequences or queue-depth");
      return &result;
    }
    requests += value;
  }
  u32 wanted = (u32)__builtin_ceil(requests / 8);

  u32 last = 0;
  if (in->state.count == 4)
    for (u32 i = 0; i < 4; i++) last |= (u32)in->state.items[i] << (8 * i);
  if (last > wanted + 1) {
    log_write(INFO, "down by one", 11);
    wanted = last - 1;
  }
  for (u32 i = 0; i < 4; i++) state[i] = (u8)(wanted >> (8 * i));

  only.pool = in->seen.pools.items[0].name;
  only.tier = TEXT("serving");
  only.replicas = wanted;
  result.ok.targets.items = &only;
  result.ok.targets.count = 1;
  result.ok.reason = TEXT("eight requests a replica");
  result.ok.state.is_some = 1;
  result.ok.state.value.items = state;
  result.ok.state.value.count = 4;
  return &result;
}
