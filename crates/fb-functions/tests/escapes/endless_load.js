// expect: TooLong
for (;;) {}
