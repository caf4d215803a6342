// Cases in C++: what the compiler and the library make of objects. See cases.h.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cases.h"

namespace {

void *volatile global, *volatile globals[8];

struct Counted {
    long value = 1;
    ~Counted() { value = 0; }
};
struct First {
    long a = 1;
    virtual void one() {}
    virtual void two() {}
    virtual ~First() = default;
};
struct Second {
    long b = 2;
    virtual void three() {}
    virtual void four() {}
    virtual ~Second() = default;
};
struct Both : First, Second {
    long c = 3;
    void one() override {}
    void three() override {}
};
struct Table {
    virtual ~Table() = default;
    std::vector<std::unique_ptr<std::string>> rows;
};

void array_with_cookie() {
    global = new Counted[10]; // points behind the count
    expect("reachable", 1, 88);
}
void array_with_cookie_lost() {
    globals[0] = nullptr;
    new Counted[10];
    expect("lost", 1, 88);
}
void second_base() {
    global = static_cast<Second *>(new Both);
    expect("reachable", 1, sizeof(Both));
}
void member() {
    global = &(new Both)->c;
    expect("possible", 1, sizeof(Both));
}
void string() {
    auto *text = new std::string(100, 'x');
    global = text;
    expect("reachable", 2, sizeof(std::string) + 101);
}
void string_lost() {
    new std::string(100, 'x');
    expect("lost", 1, sizeof(std::string));
    expect("indirect", 1, 101);
}
void table_lost() {
    auto *table = new Table;
    table->rows.reserve(100);
    for (int i = 0; i < 100; i++) table->rows.emplace_back(new std::string(40, 'x'));
    expect("lost", 1, sizeof(Table));
    expect("indirect", 201, 800 + 100 * (32 + 41));
}
void map_held() {
    static std::map<int, std::string> *rows = new std::map<int, std::string>;
    for (int i = 0; i < 100; i++) (*rows)[i] = std::string(50, 'x');
    expect("reachable", 201, 48 + 100 * (72 + 51));
}
void vector_of_pointers() {
    static std::vector<std::unique_ptr<First>> *all = new std::vector<std::unique_ptr<First>>;
    all->reserve(32);
    for (int i = 0; i < 20; i++) all->emplace_back(new First);
    (void)all->front().release();
    expect("reachable", 21, 24 + 32 * 8 + 19 * sizeof(First));
    expect("lost", 1, sizeof(First));
}
void released() {
    static std::vector<std::unique_ptr<First>> *all = new std::vector<std::unique_ptr<First>>;
    all->reserve(32);
    for (int i = 0; i < 20; i++) all->emplace_back(new First);
    for (int i = 0; i < 5; i++) (void)(*all)[i].release();
    for (int i = 0; i < 5; i++) (*all)[i] = nullptr;
    expect("reachable", 17, 24 + 32 * 8 + 15 * sizeof(First));
    expect("lost", 5, 5 * sizeof(First));
}
void shared_ring() {
    struct Link {
        std::shared_ptr<Link> next;
    };
    auto a = std::make_shared<Link>(), b = std::make_shared<Link>();
    a->next = b;
    b->next = a;
    expect("possible", 0, 0);
    expect("lost", 1, 32);
    expect("indirect", 1, 32);
}

} // namespace

extern "C" const struct leak_case leak_cases[] = {
    {"array_with_cookie", array_with_cookie},
    {"array_with_cookie_lost", array_with_cookie_lost},
    {"second_base", second_base},
    {"member", member},
    {"string", string},
    {"string_lost", string_lost},
    {"table_lost", table_lost},
    {"map_held", map_held},
    {"vector_of_pointers", vector_of_pointers},
    {"released", released},
    {"shared_ring", shared_ring},
};
extern "C" const size_t leak_case_count = sizeof leak_cases / sizeof *leak_cases;
