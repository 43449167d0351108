import time
from chaos.servers import Servers
def test_slow_rate_uses_attempts(postgres, tmp_path) -> None:
    with Servers(tmp_path, postgres).system("rateslow", MAIL_RATE="2/m") as system:
        system.start()
        for number in range(60):
            system.register(f"user{number}")
        end = time.monotonic() + 150
        while time.monotonic() < end:
            time.sleep(25)
            print(round(150 - (end - time.monotonic())), system.query("users", "SELECT state, count(*), min(attempts), max(attempts), max(extract(epoch from due_at-now()))::int FROM deliveries WHERE subscription = 'welcome_email' GROUP BY 1"), flush=True)
        print(system.query("users", "SELECT last_error FROM deliveries WHERE subscription = 'welcome_email' AND last_error IS NOT NULL LIMIT 1"))
        assert 0
