/*
 * A web shop's back end as C++ programs are written: containers, strings, virtual classes, shared
 * pointers, exceptions. It exists to allocate like one and, with --leak, to leak in three ways that
 * C++ is known for:
 *   cycle      customer and order hold each other by shared_ptr: unreachable as soon as dropped
 *   payments   a vector of base pointers is cleared, the objects behind them are not deleted
 *   receipts   a raw `new` is lost because an exception leaves before anybody owns it
 * Every block that can leak is taken through the counting allocator below, so that --truth knows
 * objects and bytes exactly: "truth KIND CLASS OBJECTS BYTES". The class of a cycle's blocks is
 * "unreachable" (lost or indirect): which member counts as a cycle's head is the profiler's choice.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace shop {

/* ---- the truth: what is alive, per kind of planted leak ---- */

enum Kind { Cycle, Payments, Receipts, Kinds };
const char *const kind_names[Kinds] = {"cycle", "payments", "receipts"};
bool planned[Kinds];

struct Live {
    long objects = 0, bytes = 0;
    void add(std::size_t size) { objects++, bytes += static_cast<long>(size); }
    void drop(std::size_t size) { objects--, bytes -= static_cast<long>(size); }
};
/* `heads` are blocks that nothing else of their kind points to; `parts` hang off a head. */
Live heads[Kinds], parts[Kinds];

/* Standard allocator that counts; what it gives is plain operator new. */
template <class T, Kind kind> struct Counting {
    using value_type = T;
    template <class U> struct rebind { using other = Counting<U, kind>; };
    Counting() = default;
    template <class U> Counting(const Counting<U, kind> &) {}
    T *allocate(std::size_t count)
    {
        parts[kind].add(count * sizeof(T));
        return static_cast<T *>(::operator new(count * sizeof(T)));
    }
    void deallocate(T *block, std::size_t count)
    {
        parts[kind].drop(count * sizeof(T));
        ::operator delete(block);
    }
    template <class U> bool operator==(const Counting<U, kind> &) const { return true; }
    template <class U> bool operator!=(const Counting<U, kind> &) const { return false; }
};

template <Kind kind>
using Text = std::basic_string<char, std::char_traits<char>, Counting<char, kind>>;

/* ---- chance that depends on the seed alone ---- */

class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
    unsigned below(unsigned bound)
    {
        state_ ^= state_ >> 12, state_ ^= state_ << 25, state_ ^= state_ >> 27;
        return static_cast<unsigned>((state_ * 0x2545f4914f6cdd1dULL >> 32) * bound >> 32);
    }

  private:
    std::uint64_t state_;
};

/* ---- catalogue ---- */

struct Product {
    std::string name, description;
    unsigned price = 0, stock = 0;
    std::vector<std::string> tags;
};

class Catalogue {
  public:
    explicit Catalogue(Random &random)
    {
        static const char *const nouns[] = {"kettle", "lamp", "bicycle pump", "notebook", "chair"};
        static const char *const styles[] = {"plain", "enamelled", "folding", "second-hand"};
        for (unsigned i = 0; i < 400; i++) {
            Product product;
            product.name = styles[random.below(4)];     /* one draw per statement: C++ leaves */
            product.name += " ";                        /* the order within one open */
            product.name += nouns[random.below(5)];
            product.name += " no. " + std::to_string(i);
            product.price = 100 + random.below(9000);
            product.stock = 50 + random.below(100);
            for (unsigned tag = random.below(4); tag > 0; tag--)
                product.tags.push_back(styles[random.below(4)]);
            product.description = "A " + product.name + ", as good as new, for every day use.";
            by_tag_[product.tags.empty() ? "none" : product.tags.front()].insert(i);
            products_.emplace(i, std::move(product));
        }
    }
    Product &pick(Random &random) { return products_.at(random.below(400)); }
    std::size_t with_tag(const std::string &tag) const
    {
        auto found = by_tag_.find(tag);
        return found == by_tag_.end() ? 0 : found->second.size();
    }

  private:
    std::map<unsigned, Product> products_;
    std::unordered_map<std::string, std::set<unsigned>> by_tag_;
};

/* ---- payments: a virtual hierarchy; each object is the head of what it holds ---- */

struct Declined : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Payment {
  public:
    virtual ~Payment() = default;
    virtual unsigned charge(unsigned amount) = 0;
    virtual std::size_t size() const = 0;
};

class CardPayment final : public Payment {
  public:
    explicit CardPayment(unsigned number)
        : holder_("holder of the card number " + Text<Payments>(std::to_string(number).c_str())),
          limit_(number % 5000 + 3000)
    {
    }
    unsigned charge(unsigned amount) override
    {
        if (amount > limit_)
            throw Declined("card over its limit by " + std::to_string(amount - limit_));
        return amount + amount / 50;
    }
    std::size_t size() const override { return sizeof(*this); }

  private:
    Text<Payments> holder_;
    unsigned limit_;
};

class VoucherPayment final : public Payment {
  public:
    explicit VoucherPayment(unsigned value)
    {
        for (unsigned left = value; left > 0; left -= left < 500 ? left : 500)
            vouchers_.push_back(left < 500 ? left : 500);
    }
    unsigned charge(unsigned amount) override
    {
        unsigned sum = std::accumulate(vouchers_.begin(), vouchers_.end(), 0U);
        if (amount > sum)
            throw Declined("vouchers are worth only " + std::to_string(sum));
        return amount;
    }
    std::size_t size() const override { return sizeof(*this); }

  private:
    std::vector<unsigned, Counting<unsigned, Payments>> vouchers_;
};

class CashPayment final : public Payment {
  public:
    unsigned charge(unsigned amount) override { return (amount + 4) / 5 * 5; }
    std::size_t size() const override { return sizeof(*this); }
};

class Till {
  public:
    ~Till() { clear(); }
    Payment &open(Random &random, unsigned amount)
    {
        Payment *payment;
        switch (random.below(3)) {
        case 0: payment = new CardPayment(random.below(100000)); break;
        case 1: payment = new VoucherPayment(amount / 2 + random.below(amount) + 1); break;
        default: payment = new CashPayment(); break;
        }
        heads[Payments].add(payment->size());
        open_.push_back(payment);
        return *payment;
    }
    /* Planted: clear() of a vector of pointers deletes nothing. */
    void clear()
    {
        if (!planned[Payments])
            for (Payment *payment : open_) {
                heads[Payments].drop(payment->size());
                delete payment;
            }
        std::vector<Payment *>().swap(open_);
    }

  private:
    std::vector<Payment *> open_;
};

/* ---- receipts: printed after the payment, allocated before it ---- */

struct Receipt {
    explicit Receipt(const Product &product)
        : line(("bought: " + product.name + ", with our thanks").c_str())
    {
        heads[Receipts].add(sizeof(*this));
    }
    ~Receipt() { heads[Receipts].drop(sizeof(*this)); }
    Text<Receipts> line;
    unsigned paid = 0;
};

/* ---- customers and orders, which know each other ---- */

struct Customer;
struct Order {
    std::shared_ptr<Customer> buyer;    /* planted: should be a weak_ptr */
    Text<Cycle> note;
    std::vector<unsigned, Counting<unsigned, Cycle>> prices;
};
struct Customer {
    Text<Cycle> name;
    std::vector<std::shared_ptr<Order>, Counting<std::shared_ptr<Order>, Cycle>> orders;
};

class Shop {
  public:
    explicit Shop(std::uint64_t seed) : random_(seed), catalogue_(random_) {}
    void serve_day();
    std::uint64_t checksum() const { return checksum_; }
    unsigned long sold() const { return sold_; }
    unsigned long declined() const { return declined_; }

  private:
    std::shared_ptr<Customer> greet();
    unsigned buy(const std::shared_ptr<Customer> &customer);
    unsigned pay(const Product &product);
    void note(const std::string &line)
    {
        for (char letter : line)
            checksum_ = (checksum_ ^ static_cast<unsigned char>(letter)) * 0x100000001b3ULL;
    }

    Random random_;
    Catalogue catalogue_;
    Till till_;
    std::unordered_map<std::string, unsigned> turnover_;
    std::uint64_t checksum_ = 0xcbf29ce484222325ULL;
    unsigned long sold_ = 0, declined_ = 0;
};

std::shared_ptr<Customer> Shop::greet()
{
    auto customer = std::allocate_shared<Customer>(Counting<Customer, Cycle>());
    customer->name = "customer of the street number ";
    customer->name += std::to_string(random_.below(10000)).c_str();
    return customer;
}

/* Planted: the receipt has no owner while charge() may throw. */
unsigned Shop::pay(const Product &product)
{
    if (planned[Receipts]) {
        auto *receipt = new Receipt(product);
        receipt->paid = till_.open(random_, product.price).charge(product.price);
        unsigned paid = receipt->paid;
        note(std::string(receipt->line.c_str()));
        delete receipt;
        return paid;
    }
    auto receipt = std::make_unique<Receipt>(product);
    receipt->paid = till_.open(random_, product.price).charge(product.price);
    note(std::string(receipt->line.c_str()));
    return receipt->paid;
}

unsigned Shop::buy(const std::shared_ptr<Customer> &customer)
{
    Product &product = catalogue_.pick(random_);
    unsigned paid = pay(product);

    auto order = std::allocate_shared<Order>(Counting<Order, Cycle>());
    order->note = ("order of one " + product.name).c_str();
    for (unsigned part = 1 + random_.below(5); part > 0; part--)
        order->prices.push_back(paid / part);
    if (planned[Cycle])
        order->buyer = customer;
    customer->orders.push_back(order);
    product.stock = product.stock ? product.stock - 1 : 100;
    turnover_[product.name] += paid;
    return paid;
}

void Shop::serve_day()
{
    for (unsigned visitor = 0; visitor < 40; visitor++) {
        auto customer = greet();
        for (unsigned wish = 1 + random_.below(4); wish > 0; wish--) {
            try {
                note(std::to_string(buy(customer)));
                sold_++;
            } catch (const Declined &declined) {
                note(declined.what());
                declined_++;
            }
        }
    }
    note(std::to_string(catalogue_.with_tag("enamelled")));
    till_.clear();
}

/* ---- command line ---- */

bool choose_leaks(std::string_view list)
{
    while (!list.empty()) {
        std::string_view word = list.substr(0, list.find(','));
        bool known = word == "none" || word == "all";
        for (int kind = 0; kind < Kinds; kind++)
            if (word == "all" || word == kind_names[kind])
                known = planned[kind] = true;
        if (!known)
            return false;
        list.remove_prefix(word.size() < list.size() ? word.size() + 1 : word.size());
    }
    return true;
}

void print_truth()
{
    Live total;

    for (int kind = 0; kind < Kinds; kind++) {
        total.objects += heads[kind].objects + parts[kind].objects;
        total.bytes += heads[kind].bytes + parts[kind].bytes;
        if (heads[kind].objects)
            std::printf("truth %s lost %ld %ld\n", kind_names[kind], heads[kind].objects,
                        heads[kind].bytes);
        if (parts[kind].objects)
            std::printf("truth %s %s %ld %ld\n", kind_names[kind],
                        kind == Cycle ? "unreachable" : "indirect", parts[kind].objects,
                        parts[kind].bytes);
    }
    std::printf("truth total unreachable %ld %ld\n", total.objects, total.bytes);
}

/* Never inlined: the frames that held pointers to lost things must be gone when it returns. */
__attribute__((noinline)) void trade(std::uint64_t seed, unsigned long days)
{
    Shop shop(seed);

    for (unsigned long day = 0; day < days; day++)
        shop.serve_day();
    std::printf("checksum %016llx sold %lu declined %lu\n",
                static_cast<unsigned long long>(shop.checksum()), shop.sold(), shop.declined());
}

/* Dead stack may still hold addresses of lost blocks, and exit handlers will lie on it. */
__attribute__((noinline)) void scrub_stack()
{
    volatile char dead[64 * 1024];

    for (std::size_t i = 0; i < sizeof(dead); i++)
        dead[i] = 0;
}

unsigned long number_or_die(const char *option, const char *text)
{
    char *end;
    unsigned long value = std::strtoul(text, &end, 10);

    if (*end || end == text || value > 1000000000) {
        std::fprintf(stderr, "shop: %s needs a number, not \"%s\"\n", option, text);
        std::exit(2);
    }
    return value;
}

}   // namespace shop

int main(int argc, char **argv)
{
    static char stdout_buffer[4096];    /* stdio would take its buffer from the heap and keep it */
    unsigned long seed = 1, days = 100;
    bool truth = false;

    std::setvbuf(stdout, stdout_buffer, _IOLBF, sizeof(stdout_buffer));
    for (int i = 1; i < argc; i++) {
        std::string_view option = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (option == "--truth") {
            truth = true;
        } else if (option == "--seed" && *value) {
            seed = shop::number_or_die("--seed", argv[++i]);
        } else if (option == "--days" && *value) {
            days = shop::number_or_die("--days", argv[++i]);
        } else if (option == "--leak" && *value && shop::choose_leaks(value)) {
            i++;
        } else {
            bool help = option == "--help";
            std::fputs("usage: shop [--seed N] [--days N] [--truth] "
                       "[--leak none|all|cycle,payments,receipts]\n", help ? stdout : stderr);
            return help ? 0 : 2;
        }
    }
    shop::trade(seed, days);
    if (truth)
        shop::print_truth();
    shop::scrub_stack();
    return 0;
}
