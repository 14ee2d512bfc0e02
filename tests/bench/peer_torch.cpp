// PyTorch's training steps on MNIST, their products and Adam's steps alone through its C++ library, without Python's
// time; compare_torch.py compiles and calls it.
//
//     peer_torch THREADS FOLDER
//
// Reads lines "WHAT<tab>SECONDS" and answers each with "STEPS SECONDS", as peer_torch.py does. Forward and backward are
// autograd's; the optimizers are written in the multi-tensor operations that Python's foreach optimizers call, since
// those of C++ go tensor by tensor.
#include <torch/torch.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Shape {
    int64_t batch;
    std::vector<int64_t> sizes;
    char optimizer; // 's' SGD with momentum, 'a' Adam, 'w' AdamW
};

const std::map<std::string, Shape> shapes = {
    {"A32", {32, {784, 128, 10}, 's'}},          {"A128", {128, {784, 128, 10}, 's'}},
    {"B64", {64, {784, 512, 256, 10}, 'a'}},     {"B256", {256, {784, 512, 256, 10}, 'a'}},
    {"B1024", {1024, {784, 512, 256, 10}, 'a'}}, {"C256", {256, {784, 2048, 2048, 10}, 'w'}},
};

torch::Tensor read_idx(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<unsigned char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (bytes.size() < 8)
        throw std::runtime_error(path + " cannot be read");
    size_t header = 4 + 4 * static_cast<size_t>(bytes[3]);
    int64_t n = bytes[4] << 24 | bytes[5] << 16 | bytes[6] << 8 | bytes[7];
    return torch::from_blob(bytes.data() + header, {static_cast<int64_t>(bytes.size() - header)}, torch::kUInt8)
        .clone()
        .reshape({n, -1});
}

const std::map<std::string, std::vector<int64_t>> layouts = {
    {"784-512-256-10", {401408, 512, 131072, 256, 2560, 10}},
    {"10000 of 256", std::vector<int64_t>(10000, 256)},
    {"1000 of 64 Ki", std::vector<int64_t>(1000, 65536)},
    {"64 Mi flat", {1 << 26}},
};

using Tensors = std::vector<torch::Tensor>;

class Optimizer {
  public:
    Optimizer(char kind, const Tensors &parameters) : kind(kind) {
        for (const torch::Tensor &p : parameters) {
            first.push_back(torch::zeros_like(p).detach());
            if (kind != 's')
                second.push_back(torch::zeros_like(p).detach());
            data.push_back(p.detach());
        }
    }

    void step(const Tensors &gradients) {
        if (kind == 's') {
            at::_foreach_mul_(first, 0.9);
            at::_foreach_add_(first, gradients);
            at::_foreach_add_(data, first, -0.05);
            return;
        }
        const double lr = 0.001, beta1 = 0.9, beta2 = 0.999;
        double t = static_cast<double>(++steps);
        if (kind == 'w')
            at::_foreach_mul_(data, 1 - lr * 0.01);
        at::_foreach_mul_(first, beta1);
        at::_foreach_add_(first, gradients, 1 - beta1);
        at::_foreach_mul_(second, beta2);
        at::_foreach_addcmul_(second, gradients, gradients, 1 - beta2);
        Tensors denominators = at::_foreach_sqrt(second);
        at::_foreach_div_(denominators, std::sqrt(1 - std::pow(beta2, t)));
        at::_foreach_add_(denominators, 1e-8);
        at::_foreach_addcdiv_(data, first, denominators, -lr / (1 - std::pow(beta1, t)));
    }

  private:
    char kind;
    Tensors data, first, second;
    int64_t steps = 0;
};

class Work {
  public:
    virtual ~Work() = default;
    virtual void step() = 0;
    virtual int at_once() const { return 8; } // steps between two looks at the clock
    virtual void check() const {}

    void run(double seconds, int64_t *ret_steps, double *ret_seconds) {
        using clock = std::chrono::steady_clock;
        clock::time_point start = clock::now();
        for (*ret_steps = 0, *ret_seconds = 0; *ret_steps == 0 || *ret_seconds < seconds;) {
            for (int i = 0; i < at_once(); i++)
                step();
            *ret_steps += at_once();
            *ret_seconds = std::chrono::duration<double>(clock::now() - start).count();
        }
        check();
    }
};

class Steps : public Work {
  public:
    explicit Steps(const std::vector<int64_t> &counts) {
        Tensors parameters;
        for (int64_t n : counts) {
            parameters.push_back(torch::rand({n}));
            gradients.push_back(torch::rand({n}).sub_(0.5));
            total += n;
        }
        optimizer = std::make_unique<Optimizer>('a', parameters);
    }
    void step() override {
        torch::NoGradGuard guard;
        optimizer->step(gradients);
    }
    int at_once() const override { return total > 1 << 20 ? 1 : 8; }

  private:
    Tensors gradients;
    std::unique_ptr<Optimizer> optimizer;
    int64_t total = 0;
};

// A step's products alone, into arrays that stand.
class Products : public Work {
  public:
    explicit Products(const Shape &shape) {
        for (size_t i = 0; i + 1 < shape.sizes.size(); i++) {
            int64_t in = shape.sizes[i], out = shape.sizes[i + 1];
            torch::Tensor x = torch::rand({shape.batch, in}), w = torch::rand({out, in}),
                          dy = torch::rand({shape.batch, out});
            add(x, w.t());
            add(dy.t(), x);
            if (i > 0)
                add(dy, w);
        }
    }
    void step() override {
        torch::NoGradGuard guard;
        for (size_t i = 0; i < results.size(); i++)
            at::mm_out(results[i], left[i], right[i]);
    }

  private:
    void add(const torch::Tensor &a, const torch::Tensor &b) {
        left.push_back(a);
        right.push_back(b);
        results.push_back(torch::empty({a.size(0), b.size(1)}));
    }
    Tensors left, right, results;
};

class Training : public Work {
  public:
    Training(const torch::Tensor &images, const torch::Tensor &labels, const Shape &shape)
        : images(images), labels(labels), x(torch::empty({shape.batch, shape.sizes[0]})),
          y(torch::empty({shape.batch}, torch::kInt64)), batch(shape.batch) {
        for (size_t i = 0; i + 1 < shape.sizes.size(); i++) {
            torch::nn::Linear layer(shape.sizes[i], shape.sizes[i + 1]);
            parameters.push_back(layer->weight);
            parameters.push_back(layer->bias);
        }
        optimizer = std::make_unique<Optimizer>(shape.optimizer, parameters);
    }

    void step() override {
        if (!order.defined() || at + batch > order.size(0)) {
            order = torch::randperm(labels.size(0));
            at = 0;
        }
        torch::Tensor rows = order.narrow(0, at, batch);
        at += batch;
        at::index_select_out(x, images, 0, rows);
        at::index_select_out(y, labels, 0, rows);
        torch::Tensor h = x;
        for (size_t i = 0; i < parameters.size(); i += 2) {
            h = at::linear(h, parameters[i], parameters[i + 1]);
            if (i + 2 < parameters.size())
                h = at::relu(h);
        }
        for (torch::Tensor &p : parameters)
            p.mutable_grad().reset();
        loss = at::cross_entropy_loss(h, y);
        loss.backward();
        torch::NoGradGuard guard;
        Tensors gradients;
        for (const torch::Tensor &p : parameters)
            gradients.push_back(p.grad());
        optimizer->step(gradients);
    }

    void check() const override {
        if (!(loss.item<float>() < 100))
            throw std::runtime_error("the loss is not finite");
    }

  private:
    torch::Tensor images, labels, x, y, order, loss;
    Tensors parameters;
    std::unique_ptr<Optimizer> optimizer;
    int64_t batch, at = 0;
};

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::cerr << "peer_torch THREADS FOLDER\n";
        return 2;
    }
    at::set_num_threads(std::stoi(argv[1]));
    at::globalContext().setFlushDenormal(true);
    torch::manual_seed(0);
    std::string folder = argv[2], line, last;
    torch::Tensor images = read_idx(folder + "/train-images-idx3-ubyte").to(torch::kFloat32).div_(255);
    torch::Tensor labels = read_idx(folder + "/train-labels-idx1-ubyte").to(torch::kInt64).flatten();
    std::unique_ptr<Work> work;
    int64_t steps;
    double spent;
    while (std::getline(std::cin, line)) {
        std::string what = line.substr(0, line.find('\t'));
        if (what != last) {
            work.reset(); // its memory goes first
            if (layouts.count(what) != 0)
                work = std::make_unique<Steps>(layouts.at(what));
            else if (what.rfind("products ", 0) == 0)
                work = std::make_unique<Products>(shapes.at(what.substr(9)));
            else
                work = std::make_unique<Training>(images, labels, shapes.at(what));
            work->run(0.2, &steps, &spent);
            last = what;
        }
        work->run(std::stod(line.substr(line.find('\t'))), &steps, &spent);
        std::cout << steps << ' ' << spent << std::endl;
    }
    return 0;
}
