// A pass over the levels of a plan: rows gathered, products, kernels and rows added, without Python
// in between. What is done at each level is a list of operations, which says nothing of the cell.
#include <omp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

namespace {

using Number = std::int64_t;
using Gemm = void (*)(const char*, const char*, const int*, const int*, const int*, const void*,
                      const void*, const int*, const void*, const int*, const void*, void*,
                      const int*);
using Threads = int (*)(int);

// Where a step, or all of a level, is: what an argument's stride is multiplied with. The numbers
// are those of `Place` in operations.py.
enum Place {
  NOWHERE,
  NODE,           // the first node, by rank
  NODE_OF_CHUNK,  // counted from the first node of the chunk
  NODE_OF_LEVEL,
  READ,           // the first of the rows that are read, in the plan's `rows`
  READ_OF_CHUNK,
  READ_OF_LEVEL,
  NODES,          // how many nodes
  SLOTS,          // how many rows each of them reads
  READS,          // how many rows they read
  BUFFER_ROWS,    // how many rows the state buffers have
  PLACES
};
using Places = std::array<Number, PLACES>;

struct Step {
  Number start, stop, slots, offset;
};

// A pointer or a size.
struct Argument {
  Number base, place, stride, offset;
};

// An operation is its kind, the number of words that follow, and these.
enum Kind { GATHER, CALL, MULTIPLY, ADD };

struct Gather {
  Number base, room, source, bytes;
};
struct Call {
  Number function, count;
  Argument arguments[1];
};
struct Multiply {
  Argument x, y;
  Number weight, weight_is_transposed, rows, inner, columns, adds, width;
};
struct Add {
  Number source, into, columns, width;
};

// The most arguments of a call. Sizes and pointers are passed alike.
constexpr std::size_t MOST = 128;
using Function = void (*)(const Number*);

template <class... Types, std::size_t... I>
void pass_on(void (*function)(Types...), const Number* given, std::index_sequence<I...>) {
  function((Types)(given[I])...);
}

// Calls a function with arguments that are numbers side by side.
template <class... Types>
void pass_on(void (*function)(Types...), const Number* given) {
  static_assert(sizeof...(Types) <= MOST);
  pass_on(function, given, std::index_sequence_for<Types...>());
}

struct Pass {
  const Number* operations;
  Number words;
  const Step* steps;
  const Number* levels;  // the first step of each level, and the end
  Number first_level, num_levels;
  Number* bases;
  const Number* rows;
  Number buffer_rows, first_node, first_read;
  Number work;  // multiplications of a node in all products
  Number most;  // multiplications of a level that one thread does
  Gemm sgemm, dgemm;
  Threads set_threads;
};

Number value(const Argument& a, const Pass& p, const Places& at) {
  return p.bases[a.base] + at[a.place] * a.stride + a.offset;
}

Places places(const Pass& p, const Step& first, const Step& last, const Step& level) {
  Places at{};
  at[NODE] = first.start;
  at[NODE_OF_CHUNK] = first.start - p.first_node;
  at[NODE_OF_LEVEL] = first.start - level.start;
  at[READ] = first.offset;
  at[READ_OF_CHUNK] = first.offset - p.first_read;
  at[READ_OF_LEVEL] = first.offset - level.offset;
  at[NODES] = last.stop - first.start;
  at[SLOTS] = first.slots;
  at[READS] = last.offset + (last.stop - last.start) * last.slots - first.offset;
  at[BUFFER_ROWS] = p.buffer_rows;
  return at;
}

// The rows that a level reads, copied side by side, unless that is what they are.
void gather(const Gather& g, const Pass& p, const Places& at, bool alone) {
  const Number* rows = p.rows + at[READ];
  const Number count = at[READS];
  const char* source = reinterpret_cast<const char*>(p.bases[g.source]);
  bool follow = count > 0;
  for (Number i = 1; follow && i < count; ++i) follow = rows[i] == rows[0] + i;
  if (follow) {
    p.bases[g.base] = reinterpret_cast<Number>(source + rows[0] * g.bytes);
    return;
  }
  char* into = reinterpret_cast<char*>(p.bases[g.room]);
  p.bases[g.base] = p.bases[g.room];
#pragma omp parallel for if (!alone)
  for (Number i = 0; i < count; ++i)
    std::memcpy(into + i * g.bytes, source + rows[i] * g.bytes, g.bytes);
}

template <class Real>
void add_rows(const Add& a, const Pass& p, const Places& at, bool alone) {
  const Number* rows = p.rows + at[READ];
  const Number count = at[READS], columns = a.columns;
  const Real* source = reinterpret_cast<const Real*>(p.bases[a.source]);
  Real* into = reinterpret_cast<Real*>(p.bases[a.into]);
  // Threads share columns, so that sums have one order.
  const Number parts = alone ? 1 : omp_get_max_threads();
  const Number wide = (columns + parts - 1) / parts;
#pragma omp parallel for if (!alone)
  for (Number part = 0; part < parts; ++part) {
    const Number first = part * wide, last = std::min(columns, first + wide);
    for (Number i = 0; i < count; ++i) {
      Real* to = into + rows[i] * columns;
      const Real* from = source + i * columns;
      for (Number c = first; c < last; ++c) to[c] += from[c];
    }
  }
}

// y = x w, or y + x w, row by row as C stores them; Fortran sees all three transposed.
template <class Real>
void multiply(const Multiply& m, const Pass& p, const Places& at, Gemm gemm) {
  const int rows = static_cast<int>(at[m.rows]), inner = static_cast<int>(m.inner);
  const int columns = static_cast<int>(m.columns);
  if (rows == 0 || columns == 0) return;
  const Real one = 1, beta = m.adds ? 1 : 0;
  const bool transposed = p.bases[m.weight_is_transposed];
  const int leading = std::max(1, transposed ? inner : columns), wide = std::max(1, inner);
  gemm(transposed ? "T" : "N", "N", &columns, &rows, &inner, &one,
       reinterpret_cast<const void*>(p.bases[m.weight]), &leading,
       reinterpret_cast<const void*>(value(m.x, p, at)), &wide, &beta,
       reinterpret_cast<void*>(value(m.y, p, at)), &columns);
}

void call(const Call& c, const Pass& p, const Places& at) {
  Number given[MOST];
  for (Number i = 0; i < c.count; ++i) given[i] = value(c.arguments[i], p, at);
  reinterpret_cast<Function>(c.function)(given);
}

void run_level(const Pass& p, const Step* first, const Step* last, bool alone) {
  const Places all = places(p, *first, *(last - 1), *first);
  const Number* at = p.operations;
  const Number* end = at + p.words;
  for (; at < end; at += 2 + at[1]) {
    const void* operation = at + 2;
    switch (at[0]) {
      case GATHER:
        gather(*static_cast<const Gather*>(operation), p, all, alone);
        break;
      case CALL:
        for (const Step* step = first; step < last; ++step)
          call(*static_cast<const Call*>(operation), p, places(p, *step, *step, *first));
        break;
      case MULTIPLY: {
        const auto& m = *static_cast<const Multiply*>(operation);
        if (m.width == 4) multiply<float>(m, p, all, p.sgemm);
        else multiply<double>(m, p, all, p.dgemm);
        break;
      }
      case ADD: {
        const auto& a = *static_cast<const Add*>(operation);
        if (a.width == 4) add_rows<float>(a, p, all, alone);
        else add_rows<double>(a, p, all, alone);
      }
    }
  }
}

// Small levels are computed by one thread: they end before others have begun.
class OneThread {
 public:
  explicit OneThread(Threads set_threads)
      : set_threads_(set_threads), before_(omp_get_max_threads()) {}
  ~OneThread() { set(false); }
  void set(bool alone) {
    if (alone == alone_ || before_ == 1) return;
    alone_ = alone;
    omp_set_num_threads(alone ? 1 : before_);
    if (!set_threads_) return;
    const int others = set_threads_(alone ? 1 : others_);
    if (alone) others_ = others;
  }

 private:
  Threads set_threads_;
  int before_, others_ = 0;
  bool alone_ = false;
};

}  // namespace

// The levels of a pass, from first to last or, in reverse, from last to first. 0, or 1 where a
// kernel threw an error.
extern "C" int run_levels(const Pass* p, int reverse) {
  OneThread threads(p->set_threads);
  try {
    for (Number i = 0; i < p->num_levels; ++i) {
      const Number level = p->first_level + (reverse ? p->num_levels - 1 - i : i);
      const Step* first = p->steps + p->levels[level];
      const Step* last = p->steps + p->levels[level + 1];
      const bool alone = ((last - 1)->stop - first->start) * p->work <= p->most;
      threads.set(alone);
      run_level(*p, first, last, alone);
    }
  } catch (...) {
    return 1;
  }
  return 0;
}
