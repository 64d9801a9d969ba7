/* SPDX-License-Identifier: Apache-2.0 */
/* C++: exceptions within and across threads, futures, thread-local destructors. */
#include <atomic>
#include <condition_variable>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Noisy {
	static std::atomic<int> alive;
	Noisy() { alive++; }
	~Noisy() { alive--; }
};
std::atomic<int> Noisy::alive;
thread_local Noisy local;

static int deep(int n)
{
	Noisy here;
	if (n == 0)
		throw std::runtime_error("from the bottom");
	return deep(n - 1) + 1;
}

static int sometimes(int i)
{
	(void)&local;
	if (i % 3 == 0)
		deep(i);
	return i;
}

int main()
{
	try {
		deep(200);
	} catch (const std::exception &e) {
		std::cout << "caught " << e.what() << std::endl;
	}
	std::vector<std::future<int>> futures;
	for (int i = 0; i < 16; i++)
		futures.push_back(std::async(std::launch::async, sometimes, i));
	int sum = 0, failed = 0;
	for (auto &f : futures)
		try {
			sum += f.get();
		} catch (const std::runtime_error &) {
			failed++;
		}
	std::cout << "sum " << sum << " failed " << failed << std::endl;
	std::exception_ptr kept;
	std::thread([&] {
		try {
			throw std::logic_error("carried over");
		} catch (...) {
			kept = std::current_exception();
		}
	}).join();
	try {
		std::rethrow_exception(kept);
	} catch (const std::logic_error &e) {
		std::cout << e.what() << std::endl;
	}
	std::mutex m;
	std::condition_variable cv;
	int turn = 0;
	std::vector<std::thread> threads;
	for (int i = 0; i < 4; i++)
		threads.emplace_back([&, i] {
			std::unique_lock<std::mutex> hold(m);
			cv.wait(hold, [&] { return turn == i; });
			turn++;
			cv.notify_all();
		});
	for (auto &t : threads)
		t.join();
	std::map<std::string, int> words;
	std::string text = "the quick the lazy the end";
	std::regex word("\\w+");
	for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it)
		words[it->str()]++;
	std::cout << "turn " << turn << ", the " << words["the"] << std::endl;
	try {
		std::vector<int>().at(5);
	} catch (const std::out_of_range &) {
		std::cout << "out of range" << std::endl;
	}
	return 12;
}
