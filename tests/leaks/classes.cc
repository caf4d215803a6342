/* Objects of C++ classes and containers, for why.py: so many of each. */
#include <cstdio>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cases.h"

namespace shop {
struct item {
    virtual ~item() {}
    virtual int price() const { return 1; }
    long id = 7;
};
struct book : item {
    int price() const override { return 2; }
    char title[40] = "";
};
template <class T> struct box : item {
    T inside{};
};
} // namespace shop

namespace {
struct secret : shop::item {
    char more[100] = "";
};
struct second {
    virtual ~second() {}
};
struct both : shop::item, second {
    long more = 1;
};
struct plain {
    long a = 1, b = 2;
};
} // namespace

static void *volatile kept[64];
static int used;

template <class T> NOINLINE static T *make() { return new T; }
template <class T> static void keep(int count) {
    for (int i = 0; i < count; i++) kept[used++] = make<T>();
}

NOINLINE static shop::item *one_of(int kind) {
    if (kind == 0) return new shop::item;
    return new shop::book;
}

std::map<int, std::string> *numbers;
std::set<long> *ids;
std::list<shop::item *> *queue;
std::forward_list<int> *stack;
std::unordered_map<int, int> *table;
std::vector<shop::book> *shelf;
std::shared_ptr<shop::book> *shared;

NOINLINE static void fill_containers() {
    numbers = new std::map<int, std::string>;
    ids = new std::set<long>;
    queue = new std::list<shop::item *>;
    stack = new std::forward_list<int>;
    table = new std::unordered_map<int, int>;
    shelf = new std::vector<shop::book>;
    shared = new std::shared_ptr<shop::book>;
    for (int i = 0; i < 11; i++) (*numbers)[i] = "";
    for (int i = 0; i < 12; i++) ids->insert(i);
    for (int i = 0; i < 13; i++) queue->push_back(nullptr);
    for (int i = 0; i < 14; i++) stack->push_front(i);
    for (int i = 0; i < 15; i++) (*table)[i] = i;
    shelf->resize(16);
    *shared = std::make_shared<shop::book>();
}

int main() {
    keep<shop::item>(3);
    keep<shop::book>(4);
    keep<shop::box<int>>(5);
    keep<secret>(6);
    keep<both>(7);
    keep<plain>(8);
    for (int i = 0; i < 5; i++) kept[used++] = one_of(i % 2);
    for (int i = 0; i < 2; i++) make<shop::book>(); /* lost */
    fill_containers();
    return 0;
}
